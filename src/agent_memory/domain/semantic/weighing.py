"""Meaning weighed against recency: what `alpha` asks for, told to a store before it chooses and to ranking after."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HALF_LIFE = timedelta(days=30)
EVER, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

_SLACK = 1e-6  # half-lives, so that rounding leaves nothing out


def recency(moment: datetime, now: datetime, half_life: timedelta) -> float:
    """1 for this moment, 1/2 after one half-life, 1/4 after two; what lies in the future counts as now."""
    half_lives = (now - moment) / half_life
    return math.exp2(-half_lives) if half_lives > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Weighing:
    """alpha x cosine + (1 - alpha) x recency; alpha = 0 is newest first, alpha = 1 is meaning alone."""

    alpha: float
    half_life: timedelta = HALF_LIFE

    def total(self, similarity: float, fresh: float) -> float:
        return self.alpha * similarity + (1 - self.alpha) * fresh

    def since(self, total: float, similarity: float, now: datetime) -> datetime:
        """From when on a memory must be to come to such a total, if it is no more similar than that."""
        missing = total - self.alpha * similarity
        if missing <= 0:
            return EVER
        if missing > 1 - self.alpha:  # which is what the newest of all has
            return NEVER
        try:
            return now + self.half_life * (math.log2(missing / (1 - self.alpha)) - _SLACK)
        except OverflowError:
            return EVER
