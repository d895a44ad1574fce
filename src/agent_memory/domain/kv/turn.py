"""One request of one agent, from its prompt to its last token."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
