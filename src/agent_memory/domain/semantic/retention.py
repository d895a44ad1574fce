"""When memories are due to be condensed or to fade, and what the memory that stands for them is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.semantic.checks import Document
from agent_memory.domain.semantic.memory import MOST_TAGS, Condensing, Memory, MemoryId, MemoryType

RESTORED_IMPORTANCE = 1.25
_MOST_SHARED = 8000  # characters of metadata that are carried over: so that there is room for what is added
MADE = 1  # the version that condensing made; others are somebody's
LABEL = "condensed"
"""The tag and the metadata by which people know a summary; nothing is decided by them."""


@dataclass(frozen=True, slots=True)
class Retention:
    """More than `threshold` episodic memories of one user are too many: the oldest `batch` become one.

    An episodic memory fades after `fade_after` times its importance; one that is more important than 1 never does.
    What expires by itself is neither condensed nor does it fade.
    """

    threshold: int = 100
    batch: int = 50
    fade_after: timedelta | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.batch <= self.threshold:
            raise Misconfigured(f"a batch of {self.batch} must be 2 to the threshold, which is {self.threshold}")


def is_lasting(memory: Memory, now: datetime) -> bool:
    """Whether it is an episodic memory that holds, would for ever, and is to be condensed or to fade when it is due."""
    lasting = memory.memory_type is MemoryType.EPISODIC and memory.holds(now) and memory.expires_at is None
    return lasting and memory.condensing is not Condensing.RESTORED


def released(memory: Memory) -> Memory:
    """A memory that was condensed and is wanted again by itself is not condensed a second time; in all else it is as
    it was. Summaries stay summaries.
    """
    restored = Condensing.RESTORED if memory.memory_type is MemoryType.EPISODIC else None
    return replace(memory, superseded_by=None, superseded_at=None, condensing=memory.condensing or restored)


def is_faded(memory: Memory, fade_after: timedelta, now: datetime) -> bool:
    return memory.importance <= 1 and memory.moment < now - fade_after * memory.importance


def brought_back(memory: Memory) -> Memory:
    """A faded memory that somebody wants again does not fade a second time; one that was superseded is as it was."""
    if memory.superseded_by is not None:
        return replace(memory, superseded_by=None, superseded_at=None)
    return replace(memory, superseded_at=None, importance=max(memory.importance, RESTORED_IMPORTANCE))


def is_told_anew(memory: Memory) -> bool:
    """Whether somebody has said something of what condensing made: that is theirs, and outlives the making."""
    return memory.is_summary and memory.version > MADE


def no_more_condensed(memory: Memory) -> Memory:
    """As somebody tells anew what was condensed, or restored: it was not, and has no label that would say so."""
    if not memory.is_summary:
        return replace(memory, condensing=None)
    metadata = {name: value for name, value in memory.metadata.items() if name != LABEL}
    return replace(memory, condensing=None, metadata=metadata, tags=memory.tags - {LABEL})


def standing_for(sources: Sequence[Memory], content: str, new_id: MemoryId, now: datetime) -> Memory:
    """A semantic memory as old as the newest of its sources, as important as the most important of them, with their
    tags and such metadata as all of them carry.
    """
    newest = max(source.moment for source in sources)
    oldest = min(source.moment for source in sources)
    about: Document = {"memories": len(sources), "from": oldest.isoformat(), "until": newest.isoformat()}
    return Memory(
        id=new_id,
        scope=sources[0].scope,
        content=content,
        created_at=now,
        event_time=newest,
        memory_type=MemoryType.SEMANTIC,
        importance=max(source.importance for source in sources),
        tags=frozenset([LABEL, *_tags(sources)]),
        metadata={**_shared(sources), LABEL: about},
        condensing=Condensing.SUMMARY,
    )


def _tags(sources: Sequence[Memory]) -> list[str]:
    """The most used, as many as there is room for."""
    used = Counter(tag for source in sources for tag in sorted(source.tags))
    return [tag for tag, _ in used.most_common(MOST_TAGS - 1)]


def _shared(sources: Sequence[Memory]) -> Document:
    first, *others = (source.metadata for source in sources)
    shared = {
        name: value
        for name, value in first.items()
        if all(name in each and repr(each[name]) == repr(value) for each in others)
    }
    return shared if len(repr(shared)) <= _MOST_SHARED else {}
