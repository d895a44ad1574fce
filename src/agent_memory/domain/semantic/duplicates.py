"""When two memories say the same, and what becomes of the older when it is told again."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from agent_memory.domain.errors import Conflict, InvalidInput
from agent_memory.domain.semantic.facts import said_in
from agent_memory.domain.semantic.keeping import next_version
from agent_memory.domain.semantic.memory import GREATEST_IMPORTANCE, Memory, MemoryId

NEAR = 0.9  # cosine from which a memory is reported as a near-duplicate
NEARLY = 0.9999  # the most that two different texts may have
MOST_REPORTED = 5
_REINFORCEMENT = 0.25  # importance


class OnNearDuplicate(StrEnum):
    """What to do with a memory that says what is known: keep it as well, or reinforce the one that is known."""

    KEEP = "keep"
    REINFORCE = "reinforce"


@dataclass(frozen=True, slots=True)
class Likeness:
    """A memory that says nearly the same; 1: the very same words."""

    memory: Memory
    similarity: float


def most_alike(found: Iterable[Likeness]) -> list[Likeness]:
    """Those that are reported of what was found, each once: the most similar first, among equals the oldest."""
    known: dict[MemoryId, Likeness] = {}
    for like in found:
        known.setdefault(like.memory.id, like)
    order = sorted(known.values(), key=lambda like: (-like.similarity, like.memory.created_at, like.memory.id))
    return order[:MOST_REPORTED]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The memory that now tells it, whether it is a new one, and which others say nearly the same."""

    memory: Memory
    added: bool
    near: tuple[Likeness, ...] = ()


def parse_on_near_duplicate(name: str) -> OnNearDuplicate:
    try:
        return OnNearDuplicate(name)
    except ValueError:
        known = ", ".join(OnNearDuplicate)
        raise InvalidInput("on_near_duplicate", f"must be one of {known}, is {str(name)[:40]!r}") from None


def tells_nothing_new(memory: Memory, known: Likeness) -> bool:
    """Near is not enough: "Ada owes Bob" and "Bob owes Ada" are near. It must say the same word for word, of the same
    kind and, if it names a time, of the same time.
    """
    before = known.memory
    if before.memory_type is not memory.memory_type or memory.event_time not in {None, before.event_time}:
        return False
    return said_in(memory.content) == said_in(before.content)


def told_again(memory: Memory, near: Iterable[Likeness]) -> tuple[Likeness, Memory] | None:
    """The first of those near it that the memory tells again, and what becomes of that one. None: it tells something
    new, or both together carry more than a memory may, or that one takes no more versions.
    """
    for known in near:
        if tells_nothing_new(memory, known):
            try:
                return known, reinforced(known.memory, memory)
            except (InvalidInput, Conflict):
                continue
    return None


def without(known: Likeness, near: Iterable[Likeness]) -> tuple[Likeness, ...]:
    """The others that are reported beside the one that was reinforced."""
    return tuple(like for like in near if like.memory.id != known.memory.id)[:MOST_REPORTED]


def reinforced(known: Memory, again: Memory) -> Memory:
    """The next version of what is known: more important, with the tags and metadata of both, of which the
    newer word counts, and no end before either's. Raises InvalidInput where that is more than a memory may carry, and
    Conflict as `next_version` does.
    """
    ends = (known.expires_at, again.expires_at)
    told = replace(
        known,
        importance=min(max(known.importance, again.importance) + _REINFORCEMENT, GREATEST_IMPORTANCE),
        tags=known.tags | again.tags,
        metadata={**known.metadata, **again.metadata},
        expires_at=None if None in ends else max(end for end in ends if end is not None),
    )
    return next_version(told, again.created_at)
