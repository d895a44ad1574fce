"""A network in torch, weight for weight what ``mlx_lm.models.llama`` computes: full attention, grouped queries."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn
from torch.nn import functional

from .layers import SmallModel, four_bits, rotate
from .pre_norm import Block, GatedMlp, Trunk, published, soften


@dataclass(frozen=True)
class Shape:
    """The published configuration; field names are those of ``config.json``."""

    vocab_size: int = 2048
    hidden_size: int = 256
    intermediate_size: int = 512
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    rope_theta: float = 500_000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 8192

    def config(self) -> dict[str, object]:
        kind = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
        return kind | asdict(self) | {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}

    def published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return published(state)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        size, kv = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, size, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, kv, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, kv, bias=False)
        self.o_proj = nn.Linear(size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], *, quantised: bool) -> Tensor:
        rows, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(rows, length, -1, self.shape.head_dim).transpose(1, 2)

        v = heads(self.v_proj(x))
        q, k = (rotate(heads(y), turn).to(v.dtype) for y in (self.q_proj(x), self.k_proj(x)))
        if quantised:
            k, v = four_bits(k), four_bits(v)
        repeats = self.shape.num_attention_heads // self.shape.num_key_value_heads
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(out.transpose(1, 2).reshape(rows, length, -1))


def network(shape: Shape) -> SmallModel:
    layers = (
        Block(shape, Attention(shape), GatedMlp(shape.hidden_size, shape.intermediate_size))
        for _ in range(shape.num_hidden_layers)
    )
    model = SmallModel(Trunk(shape, layers, shape.head_dim))
    soften(model)
    return model
