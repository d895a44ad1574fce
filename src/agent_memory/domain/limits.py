"""How often one may ask: a window that slides with every request, and what it answers."""

from dataclasses import dataclass
from datetime import timedelta

from agent_memory.domain.errors import Misconfigured

MOST_CALLS = 10_000  # each call in the window is remembered: to count more costs more than it protects


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` in any `window`, wherever that begins."""

    calls: int
    window: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        if self.calls < 1 or self.window <= timedelta(0):
            raise Misconfigured(f"a limit of {self.calls} calls in {self.window} lets nobody in: switch it off instead")


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether one call may pass; how many more may follow at once; in how many seconds there is one more place,
    whether some are left or none.
    """

    admitted: bool
    remaining: int
    free_in: float
