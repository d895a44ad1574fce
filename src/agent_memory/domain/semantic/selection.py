"""Which memories of a scope are meant: by type, tags, metadata and time. One way to say it for every verb."""

from dataclasses import dataclass, replace
from datetime import datetime

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import check_moment
from agent_memory.domain.semantic.filters import Filter, matches
from agent_memory.domain.semantic.memory import Memory, MemoryType, check_tags, parse_memory_type


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything, as long as nothing is said. `since` is included, `until` is not; both are of when it happened.
    What was kept after the first moment of `not_kept`, up to the second, is left out.
    """

    memory_type: MemoryType | None = None
    tags: frozenset[str] = frozenset()  # all of them
    metadata: Filter | None = None
    since: datetime | None = None
    until: datetime | None = None
    not_kept: tuple[datetime, datetime] | None = None

    def __post_init__(self) -> None:
        if self.memory_type is not None:
            parse_memory_type(self.memory_type)
        check_tags(self.tags)
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None:
                check_moment(name, moment)

    @property
    def filters(self) -> bool:
        """Whether it says more than what was kept too late."""
        return replace(self, not_kept=None) != EVERYTHING

    def admits(self, memory: Memory) -> bool:
        return (
            self.memory_type in {None, memory.memory_type}
            and self.tags <= memory.tags
            and (self.since is None or memory.moment >= self.since)
            and (self.until is None or memory.moment < self.until)
            and (self.not_kept is None or not self.not_kept[0] < memory.created_at <= self.not_kept[1])
            and (self.metadata is None or matches(self.metadata, memory.metadata))
        )


EVERYTHING = Selection()


def check_selection(selection: Selection) -> None:
    if not isinstance(selection, Selection):
        raise InvalidInput("selection", f"must be a Selection, is {type(selection).__name__}")
