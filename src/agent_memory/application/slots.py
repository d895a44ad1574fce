"""Work that takes much room while it lasts: so many at once, and no tenant has all of them. Nobody waits here."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from agent_memory.domain.errors import Overloaded

_COME_BACK = 5.0  # seconds


class Slots:
    """Of one process. `of_one` tenant is how many it may have of all."""

    def __init__(self, work: str, of_all: int, of_one: int) -> None:
        self._work, self._of_all, self._of_one = work, of_all, of_one
        self._taken: Counter[str] = Counter()

    @property
    def running(self) -> int:
        return self._taken.total()

    def take(self, tenant: str) -> AbstractContextManager[None]:
        """Around one piece of work that begins at once. Raises Overloaded, before it is entered, when none is free."""
        if self._taken[tenant] >= self._of_one or self.running >= self._of_all:
            most = f"{self._of_one} of a tenant, {self._of_all} in all"
            raise Overloaded(f"as many {self._work} as there may be are under way: {most}", retry_after=_COME_BACK)
        return self._counted(tenant)

    @contextmanager
    def _counted(self, tenant: str) -> Iterator[None]:
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
