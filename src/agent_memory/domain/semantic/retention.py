"""When memories are due to be condensed, and what the memory that stands for them is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.semantic.memory import Memory, MemoryId, MemoryType

CONDENSED = "condensed"


@dataclass(frozen=True, slots=True)
class Retention:
    """More than `threshold` episodic memories of one user are too many: the oldest `batch` become one."""

    threshold: int = 100
    batch: int = 50

    def __post_init__(self) -> None:
        if not 2 <= self.batch <= self.threshold:
            raise Misconfigured(f"a batch of {self.batch} must be 2 to the threshold, which is {self.threshold}")


def standing_for(sources: Sequence[Memory], content: str, new_id: MemoryId, now: datetime) -> Memory:
    """A semantic memory as old as the newest of its sources and as important as they are on the whole."""
    newest = max(source.moment for source in sources)
    oldest = min(source.moment for source in sources)
    return Memory(
        id=new_id,
        scope=sources[0].scope,
        content=content,
        created_at=now,
        event_time=newest,
        memory_type=MemoryType.SEMANTIC,
        importance=fmean(source.importance for source in sources),
        tags=frozenset([CONDENSED]),
        metadata={CONDENSED: {"memories": len(sources), "from": oldest.isoformat(), "until": newest.isoformat()}},
    )
