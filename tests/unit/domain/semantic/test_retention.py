from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agent_memory.domain.semantic.memory import Condensing, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.retention import no_more_condensed, released, standing_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def memory(metadata=None, **fields) -> Memory:
    return Memory(MemoryId(uuid4()), Scope("a", "u"), "x", NOW, metadata=metadata or {}, **fields)


def summary() -> Memory:
    return standing_for([memory(), memory()], "x x", MemoryId(uuid4()), NOW + timedelta(days=1))


def test_what_stands_for_many_is_a_summary_and_labelled_for_people():
    assert summary().is_summary
    assert "condensed" in summary().tags
    assert summary().metadata["condensed"] == {"memories": 2, "from": NOW.isoformat(), "until": NOW.isoformat()}


@pytest.mark.parametrize("about", [True, "memories", {"memories": 3}, {"memories": 3, "from": "x", "until": "y"}])
def test_what_only_uses_the_word_is_no_summary(about):
    assert not memory({"condensed": about}, tags=frozenset({"condensed"})).is_summary


def test_what_is_told_in_place_of_a_summary_is_none_and_not_labelled_so():
    told = no_more_condensed(summary())
    assert (told.condensing, told.tags, told.metadata) == (None, frozenset(), {})


def test_what_is_told_in_place_of_what_was_restored_was_not():
    restored = memory({"condensed": 1}, tags=frozenset({"condensed"}), condensing=Condensing.RESTORED)
    told = no_more_condensed(restored)
    assert (told.condensing, told.tags, told.metadata) == (None, {"condensed"}, {"condensed": 1})


def test_only_what_could_be_condensed_again_is_marked_as_restored():
    assert released(memory()).condensing is Condensing.RESTORED
    assert released(memory(memory_type=MemoryType.SEMANTIC)).condensing is None
    assert released(memory(condensing=Condensing.SUMMARY)).is_summary
