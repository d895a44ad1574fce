"""What the networks share: norms, rotated positions, keys and values as a 4-bit cache keeps them, and the tied head."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUP = 64
"""Numbers that share a scale when keys and values are rounded, as in the cache."""


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


def rotate_pairs(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """As ``rotate``, but a pair lies side by side: what mlx calls traditional."""
    (cos, sin), (left, right) = turn, (x[..., 0::2], x[..., 1::2])
    return torch.stack((left * cos - right * sin, left * sin + right * cos), dim=-1).flatten(-2)


def four_bits(x: Tensor) -> Tensor:
    """What a 4-bit KV cache gives back; gradients pass as if nothing happened."""
    groups = x.detach().unflatten(-1, (-1, GROUP))
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    step = ((high - low) / 15).clamp_min(1e-6)
    return x + ((groups - low).div(step).round() * step + low - groups).flatten(-2)


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


class SmallModel(nn.Module):
    """A trunk and its head, which is the embedding; only the asked positions are turned into logits."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.model: Any = trunk
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(
                    weight, std=0.02 if weight is self.model.embed_tokens.weight else weight.shape[1] ** -0.5
                )

    def forward(self, tokens: Tensor, positions: Tensor, picked: Tensor, *, quantised: bool = False) -> Tensor:
        return self.model(tokens, positions, quantised=quantised)[picked] @ self.model.embed_tokens.weight.T
