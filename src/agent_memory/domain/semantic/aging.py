"""How much age moves what answers: by a factor about 1, within bounds that are known before any age is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from agent_memory.domain.semantic.weighing import recency

_SLACK = 1e-9  # so that rounding leaves nothing out


@dataclass(frozen=True, slots=True)
class Aging:
    """Among memories of which the best has the relevance `best`: age may move that one by `strength`, or by as much
    the other way if that is less than nothing, and others the less, the more steeply. It is counted from `newest`;
    None: it moves nothing.
    """

    strength: float
    steepness: int
    best: float
    newest: datetime | None
    half_life: timedelta

    @property
    def reach(self) -> float:
        """More than this the factor never differs from 1."""
        return abs(self.strength) + _SLACK

    def factor(self, relevance: float, moment: datetime) -> float:
        if self.newest is None:
            return 1.0
        fresh = recency(moment, self.newest, self.half_life)
        return 1 + self.strength * (2 * fresh - 1) * (relevance / self.best) ** self.steepness
