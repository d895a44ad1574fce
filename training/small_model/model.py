"""The network in torch, weight for weight what ``mlx_lm.models.gemma3_text`` computes.

Module names are those of the checkpoint, so that the state dict is the file.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


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
        return {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"]} | asdict(self)


class Norm(nn.Module):
    def __init__(self, size: int, eps: float, start: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((size,), start))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x.float(), (x.shape[-1],), 1 + self.weight, self.eps)


def rotation(positions: Tensor, size: int, base: float) -> tuple[Tensor, Tensor]:
    angles = positions[:, None].float() * base ** (-torch.arange(0, size, 2).float() / size)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    (cos, sin), (left, right) = turn, x.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, left * sin + right * cos), dim=-1)


def four_bits(x: Tensor) -> Tensor:
    """What a 4-bit KV cache gives back for groups of one head; gradients pass as if nothing happened."""
    low, high = x.detach().amin(-1, keepdim=True), x.detach().amax(-1, keepdim=True)
    step = ((high - low) / 15).clamp_min(1e-6)
    return x + ((x.detach() - low).div(step).round() * step + low - x.detach())


def window_attention(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Each token sees itself and the ``window - 1`` before it.

    In blocks of one window, a block needs only itself and its predecessor.
    """
    length = q.shape[2]
    if length % window or length <= window:
        distance = torch.arange(length)[:, None] - torch.arange(length)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=(distance >= 0) & (distance < window))
    rows, heads, _, size = q.shape
    blocks = length // window

    def paired(x: Tensor) -> Tensor:
        current = x.reshape(rows, heads, blocks, window, size)
        before = functional.pad(current[:, :, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat((before, current), dim=3).transpose(1, 2).reshape(rows * blocks, heads, 2 * window, size)

    queries = q.reshape(rows, heads, blocks, window, size).transpose(1, 2).reshape(rows * blocks, heads, window, size)
    distance = torch.arange(window)[:, None] + window - torch.arange(2 * window)
    mask = ((distance >= 0) & (distance < window)).repeat(blocks, 1, 1)
    mask[0, :, :window] = False  # the first block has no predecessor
    mask = mask.repeat(rows, 1, 1)[:, None]
    out = functional.scaled_dot_product_attention(queries, paired(k), paired(v), attn_mask=mask)
    return out.reshape(rows, blocks, heads, window, size).transpose(1, 2).reshape(rows, heads, length, size)


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


class SmallModel(nn.Module):
    """The head is the embedding; only the asked positions are turned into logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Trunk(shape)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(
                    weight, std=0.02 if weight is self.model.embed_tokens.weight else weight.shape[1] ** -0.5
                )

    def forward(self, tokens: Tensor, positions: Tensor, picked: Tensor, *, quantised: bool = False) -> Tensor:
        return self.model(tokens, positions, quantised=quantised)[picked] @ self.model.embed_tokens.weight.T
