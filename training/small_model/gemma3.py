"""A network in torch, weight for weight what ``mlx_lm.models.gemma3_text`` computes.

Module names are those of the checkpoint, so that the state dict is the file.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import Norm, SmallModel, four_bits, rotate, rotation, window_attention


@dataclass(frozen=True)
class Shape:
    """The published configuration; field names are those of ``config.json``."""

    vocab_size: int = 2048
    hidden_size: int = 256
    intermediate_size: int = 512
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    sliding_window: int = 128
    sliding_window_pattern: int = 3
    rope_theta: float = 1_000_000.0
    rope_local_base_freq: float = 10_000.0
    query_pre_attn_scalar: float = 64
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 8192

    def is_global(self, layer: int) -> bool:
        return (layer + 1) % self.sliding_window_pattern == 0

    def config(self) -> dict[str, object]:
        kind = {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "tie_word_embeddings": True}
        return kind | asdict(self) | {"hidden_activation": "gelu_pytorch_tanh"}

    def published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return state


class Attention(nn.Module):
    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.shape, self.everywhere = shape, shape.is_global(layer)
        size, kv = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, size, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, kv, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, kv, bias=False)
        self.o_proj = nn.Linear(size, shape.hidden_size, bias=False)
        self.q_norm = Norm(shape.head_dim, shape.rms_norm_eps, 0.3)
        self.k_norm = Norm(shape.head_dim, shape.rms_norm_eps, 0.3)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], *, quantised: bool) -> Tensor:
        rows, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(rows, length, -1, self.shape.head_dim).transpose(1, 2)

        q, k, v = heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x))
        q, k = rotate(self.q_norm(q), turn).to(v.dtype), rotate(self.k_norm(k), turn).to(v.dtype)
        if quantised:
            k, v = four_bits(k), four_bits(v)
        repeats = self.shape.num_attention_heads // self.shape.num_key_value_heads
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        if self.everywhere:
            out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            out = window_attention(q, k, v, self.shape.sliding_window)
        return self.o_proj(out.transpose(1, 2).reshape(rows, length, -1))


class Mlp(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.gelu(self.gate_proj(x), approximate="tanh") * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(shape, layer), Mlp(shape)
        size, eps = shape.hidden_size, shape.rms_norm_eps
        self.input_layernorm, self.post_attention_layernorm = Norm(size, eps), Norm(size, eps, -0.6)
        self.pre_feedforward_layernorm, self.post_feedforward_layernorm = (
            Norm(size, eps),
            Norm(size, eps, -0.6),
        )

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], *, quantised: bool) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), turn, quantised=quantised))
        return x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))


class Trunk(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape, layer) for layer in range(shape.num_hidden_layers))
        self.norm = Norm(shape.hidden_size, shape.rms_norm_eps)

    def forward(self, tokens: Tensor, positions: Tensor, *, quantised: bool) -> Tensor:
        shape = self.shape
        wide = rotation(positions, shape.head_dim, shape.rope_theta)
        near = rotation(torch.arange(tokens.shape[1]), shape.head_dim, shape.rope_local_base_freq)
        x = self.embed_tokens(tokens) * shape.hidden_size**0.5
        for number, layer in enumerate(self.layers):
            x = layer(x, wide if shape.is_global(number) else near, quantised=quantised)
        return self.norm(x)


def network(shape: Shape) -> SmallModel:
    return SmallModel(Trunk(shape))
