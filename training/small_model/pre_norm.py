"""What ``llama`` and ``deepseek_v2`` share: layers that norm what they read, SiLU in the MLP, one rotation for all.

Training sees norms around one and a scaled embedding, as Gemma has them; ``published`` folds both into the weights.
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import Norm, rotation


class Sizes(Protocol):
    """The part of a configuration that this file reads."""

    vocab_size: int
    hidden_size: int
    rope_theta: float
    rms_norm_eps: float


class GatedMlp(nn.Module):
    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, intermediate, bias=False)
        self.up_proj = nn.Linear(hidden, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, sizes: Sizes, attention: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.self_attn, self.mlp = attention, mlp
        self.input_layernorm = Norm(sizes.hidden_size, sizes.rms_norm_eps)
        self.post_attention_layernorm = Norm(sizes.hidden_size, sizes.rms_norm_eps)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], *, quantised: bool) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn, quantised=quantised)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    """``rotated`` is how many numbers of a head turn with their position."""

    def __init__(self, sizes: Sizes, layers: Iterable[Block], rotated: int) -> None:
        super().__init__()
        self.sizes, self.rotated = sizes, rotated
        self.embed_tokens = nn.Embedding(sizes.vocab_size, sizes.hidden_size)
        self.layers = nn.ModuleList(layers)
        self.norm = Norm(sizes.hidden_size, sizes.rms_norm_eps)

    def forward(self, tokens: Tensor, positions: Tensor, *, quantised: bool) -> Tensor:
        turn = rotation(positions, self.rotated, self.sizes.rope_theta)
        x = self.embed_tokens(tokens) * self.sizes.hidden_size**0.5
        for layer in self.layers:
            x = layer(x, turn, quantised=quantised)
        return self.norm(x)


def soften(trunk: nn.Module) -> None:
    """Layers begin as small additions to what they read, which Gemma's second norms see to there."""
    with torch.no_grad():
        for name, weight in trunk.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.mul_(0.4)


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights as the architecture names and scales them: equal in what they compute."""
    scale = state["model.embed_tokens.weight"].shape[1] ** 0.5
    weights = {name: weight + 1 if name.endswith("norm.weight") else weight for name, weight in state.items()}
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"] * scale
    weights["model.norm.weight"] = weights["model.norm.weight"] / scale
    return weights
