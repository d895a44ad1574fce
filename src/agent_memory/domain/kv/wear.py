"""How much is written to a disk, ever and on this day, and how much may be: flash cells wear out.

Knows neither the disk nor the clock.
"""

from dataclasses import dataclass
from datetime import date

from agent_memory.domain.errors import AgentMemoryError


class WritesSpent(AgentMemoryError):
    """What may be written on one day is written: no fault, and over at midnight."""


@dataclass(slots=True)
class Wear:
    """Bytes. `daily_budget` None is no limit."""

    daily_budget: int | None
    day: date
    today: int = 0
    total: int = 0

    def on(self, day: date) -> int:
        """What was written on this day."""
        return self.today if day == self.day else 0

    def check(self, nbytes: int, day: date) -> None:
        """Raises WritesSpent when `nbytes` more would exceed the day's budget."""
        if self.daily_budget is not None and self.on(day) + nbytes > self.daily_budget:
            raise WritesSpent(f"{self.on(day)} of {self.daily_budget} bytes are written today")

    def add(self, nbytes: int, day: date) -> None:
        self.today = self.on(day) + nbytes
        self.day = day
        self.total += nbytes
