"""A network in torch, weight for weight what ``mlx_lm.models.deepseek_v2`` computes.

Keys and values are made from a latent, and only a part of each key turns with its position; from the second layer on
the MLP is a mixture of experts.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import Norm, SmallModel, four_bits, rotate_pairs
from .pre_norm import Block, GatedMlp, Trunk, published, soften

ROUTING_NOISE = 0.5  # in training: every expert is tried now and then, so that none is forgotten


@dataclass(frozen=True)
class Shape:
    """The published configuration; field names are those of ``config.json``.

    Keys are twice as wide as values, and both take groups of 64.
    """

    vocab_size: int = 2048
    hidden_size: int = 256
    intermediate_size: int = 512
    moe_intermediate_size: int = 96
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    n_shared_experts: int = 1
    n_routed_experts: int = 4
    num_experts_per_tok: int = 2
    first_k_dense_replace: int = 1
    kv_lora_rank: int = 128
    qk_nope_head_dim: int = 64
    qk_rope_head_dim: int = 64
    v_head_dim: int = 64
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 8192

    def config(self) -> dict[str, object]:
        kind = {"model_type": "deepseek_v2", "architectures": ["DeepseekV2ForCausalLM"], "tie_word_embeddings": False}
        experts = {"q_lora_rank": None, "topk_method": "greedy", "routed_scaling_factor": 1.0, "moe_layer_freq": 1}
        # mlx_lm wants a scaling; this one changes nothing
        scaling = {"type": "yarn", "factor": 1.0, "original_max_position_embeddings": self.max_position_embeddings}
        return kind | asdict(self) | experts | {"rope_scaling": scaling, "hidden_act": "silu", "attention_bias": False}

    def published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        weights = published(state)
        return weights | {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        hidden, heads, rank = shape.hidden_size, shape.num_attention_heads, shape.kv_lora_rank
        self.q_proj = nn.Linear(hidden, heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim), bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, rank + shape.qk_rope_head_dim, bias=False)
        self.kv_a_layernorm = Norm(rank, 1e-6)
        self.kv_b_proj = nn.Linear(rank, heads * (shape.qk_nope_head_dim + shape.v_head_dim), bias=False)
        self.o_proj = nn.Linear(heads * shape.v_head_dim, hidden, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], *, quantised: bool) -> Tensor:
        shape, (rows, length, _) = self.shape, x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(rows, length, shape.num_attention_heads, -1).transpose(1, 2)

        latent, turned = self.kv_a_proj_with_mqa(x).split((shape.kv_lora_rank, shape.qk_rope_head_dim), dim=-1)
        made = heads(self.kv_b_proj(self.kv_a_layernorm(latent)))
        still, v = made.split((shape.qk_nope_head_dim, shape.v_head_dim), dim=-1)
        shared = rotate_pairs(turned[:, None], turn).to(v.dtype).expand(-1, shape.num_attention_heads, -1, -1)
        k = torch.cat((still, shared), dim=-1)
        plain, turning = heads(self.q_proj(x)).split((shape.qk_nope_head_dim, shape.qk_rope_head_dim), dim=-1)
        q = torch.cat((plain, rotate_pairs(turning, turn).to(v.dtype)), dim=-1)
        if quantised:
            k, v = four_bits(k), four_bits(v)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(out.transpose(1, 2).reshape(rows, length, -1))


class Mixture(nn.Module):
    """Some experts for each token, and one for all. Here every expert reads every token: there are few."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        hidden, each = shape.hidden_size, shape.moe_intermediate_size
        self.chosen = shape.num_experts_per_tok
        self.gate = nn.Linear(hidden, shape.n_routed_experts, bias=False)
        self.experts = nn.ModuleList(GatedMlp(hidden, each) for _ in range(shape.n_routed_experts))
        self.shared_experts = GatedMlp(hidden, each * shape.n_shared_experts)

    def forward(self, x: Tensor) -> Tensor:
        wanted = self.gate(x).float()
        noisy = wanted + ROUTING_NOISE * torch.randn_like(wanted) if self.training else wanted
        best = noisy.topk(self.chosen, dim=-1).indices
        weights = wanted.softmax(-1) * torch.zeros_like(wanted).scatter(-1, best, 1.0)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        return self.shared_experts(x) + (outputs * weights[..., None, :].to(outputs.dtype)).sum(-1)


def network(shape: Shape) -> SmallModel:
    def mlp(layer: int) -> nn.Module:
        dense = layer < shape.first_k_dense_replace
        return GatedMlp(shape.hidden_size, shape.intermediate_size) if dense else Mixture(shape)

    layers = (Block(shape, Attention(shape), mlp(number)) for number in range(shape.num_hidden_layers))
    model = SmallModel(Trunk(shape, layers, shape.qk_rope_head_dim))
    soften(model)
    return model
