"""Requests that may be sent twice, and the one answer that both get."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_memory.domain.semantic.memory import MemoryId


@dataclass(frozen=True, slots=True)
class Claim:
    """For which request a key is taken, by its digest, and the ids that its new memories have at every attempt; no
    answer: the request runs, or was cut off, or something that it told is `forgotten`.
    """

    request: str
    ids: Sequence[MemoryId]
    answer: str | None = None
    forgotten: bool = False
