"""What an agent's cache costs, and how many agents fit into a budget. Arithmetic on a cache spec; knows no machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind
from agent_memory.domain.kv.tips import SLACK_TOKENS


@dataclass(frozen=True, slots=True)
class Stay:
    """An agent with so many tokens, as it is kept between its turns: lasting parts of all, local parts at its end."""

    tokens: int
    nbytes: int
    agents: int


@dataclass(frozen=True, slots=True)
class Cost:
    """One precision. Bytes of one token in the layers that last and in those that only look back; `ratio` is what an
    agent of the longest stay takes, of what every layer would take in 16 bits.
    """

    precision: Precision
    lasting: int
    local: int
    ratio: float
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers of the same geometry."""

    count: int
    layer: Layer


def agent_bytes(spec: CacheSpec, tokens: int) -> int:
    """Blocks are kept whole: of the local parts, those that a prefix ending at `tokens` needs."""
    reach = spec.reach + SLACK_TOKENS
    first = max(0, tokens - reach) // spec.block_tokens * spec.block_tokens
    return spec.lasting_bytes(tokens) + spec.window_bytes(tokens - first) + spec.state_bytes


def cost(spec: CacheSpec, precision: Precision, budget: int, lengths: Sequence[int]) -> Cost:
    priced = replace(spec, precision=precision)
    full = replace(spec, precision=Precision(bits=16))
    stays = tuple(Stay(tokens, size := agent_bytes(priced, tokens), budget // size) for tokens in lengths)
    every_layer = full.lasting_bytes(lengths[-1]) + full.window_bytes(lengths[-1]) + full.state_bytes
    return Cost(
        precision,
        lasting=priced.lasting_bytes(1),
        local=priced.window_bytes(1),
        ratio=stays[-1].nbytes / every_layer,
        stays=stays,
    )


def grouped(layers: Sequence[Layer]) -> tuple[LayerGroup, ...]:
    """The lasting kinds first."""
    kinds = sorted(dict.fromkeys(layers), key=lambda layer: layer.kind is not LayerKind.FULL)
    return tuple(LayerGroup(sum(layer == kind for layer in layers), kind) for kind in kinds)
