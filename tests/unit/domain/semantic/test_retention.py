from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.retention import RESTORED, no_more_condensed, standing_for, still_condensed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def memory(metadata=None) -> Memory:
    return Memory(MemoryId(uuid4()), Scope("a", "u"), "x", NOW, metadata=metadata or {})


def condensed() -> Memory:
    return standing_for([memory(), memory()], "x x", MemoryId(uuid4()), NOW + timedelta(days=1))


def test_what_stands_for_many_is_condensed():
    assert condensed().is_condensed


@pytest.mark.parametrize("metadata", [{}, {"condensed": True}, {"condensed": "memories"}, {"condensed": ["memories"]}])
def test_what_only_uses_the_word_is_not_condensed(metadata):
    assert not memory(metadata).is_condensed


def test_a_revision_leaves_what_was_condensed_what_it_is():
    former = condensed()
    assert still_condensed(former, memory({"mine": 1})).metadata == {"mine": 1, **former.metadata}
    assert still_condensed(memory(), memory({"mine": 1})).metadata == {"mine": 1}


def test_what_is_told_in_place_of_what_was_condensed_is_not():
    assert no_more_condensed(memory({"mine": 1, **condensed().metadata})).metadata == {"mine": 1}
    assert no_more_condensed(memory({"condensed": True})).metadata == {"condensed": True}


def test_that_it_was_restored_stays_with_it_and_with_it_alone():
    restored = memory({"mine": 1, "condensed": RESTORED})
    assert still_condensed(restored, memory({"mine": 2})).metadata == {"mine": 2, "condensed": RESTORED}
    assert no_more_condensed(restored).metadata == {"mine": 1}
