"""Answers that are kept, so that the next request need only name the last of them."""

from dataclasses import dataclass
from datetime import timedelta

KEPT = timedelta(days=30)
"""As long as OpenAI keeps them."""

MOST_BEFORE = 1000
MOST_BYTES = 32 << 20
"""What a response may go on from: so many, and so much that was asked and told in all of them."""


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """`asked` are the items that were new in its request, `told` is the whole response; both are JSON, as they were on
    the wire. `previous` is the response that it went on from.
    """

    id: str
    asked: str
    told: str
    previous: str | None = None

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.asked.encode()) + len(self.told.encode())
