"""The architectures that can be trained, and the phases of each. A new one adds its row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from . import deepseek_v2, gemma3, llama
from .layers import SmallModel


class Shape(Protocol):
    @property
    def max_position_embeddings(self) -> int: ...

    def config(self) -> dict[str, object]:
        """What ``config.json`` says of the network."""

    def published(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of training as the checkpoint names it."""


@dataclass(frozen=True)
class Phase:
    """``others`` is the share of the user's words that are predicted too.

    ``stretched`` is the share of steps with leaps in the positions; ``quantised`` keeps the KV at 4 bits.
    """

    steps: int
    length: int
    tokens: int = 4096
    others: float = 0.0
    stretched: float = 0.5
    quantised: bool = False


LONG = (
    Phase(400, 128, others=0.1, stretched=0.0),
    Phase(500, 256, others=0.05),
    Phase(350, 512, others=0.05),
    Phase(350, 512),
    Phase(850, 1024),
    Phase(630, 2048, quantised=True),
    Phase(90, 4096, tokens=8192, quantised=True),
)
SHORT = (
    Phase(400, 128, others=0.1, stretched=0.0),
    Phase(350, 256, others=0.05),
    Phase(250, 512),
    Phase(400, 1024, quantised=True),
    Phase(200, 2048, quantised=True),
)

MIXED = (
    Phase(600, 128, tokens=2048, others=0.1, stretched=0.0),
    Phase(500, 256, others=0.05),
    Phase(250, 512),
    Phase(250, 1024, quantised=True),
)


@dataclass(frozen=True)
class Architecture:
    shape: Shape
    network: Callable[..., SmallModel]
    phases: tuple[Phase, ...]


ARCHITECTURES = {
    "gemma3_text": Architecture(gemma3.Shape(), gemma3.network, LONG),
    "llama": Architecture(llama.Shape(), llama.network, SHORT),
    "deepseek_v2": Architecture(deepseek_v2.Shape(), deepseek_v2.network, MIXED),
}
