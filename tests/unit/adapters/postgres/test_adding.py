"""Rows of many memories are made beside the event loop, and come in the order of the memories."""

import threading
from array import array
from datetime import UTC, datetime
from uuid import UUID

import pytest

from agent_memory.adapters.postgres import adding
from agent_memory.adapters.postgres.rows import row_of
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope

EMBEDDING = Embedding("m", array("f", [1.0]))


def entries(number: int, length: int):
    made = datetime(2026, 1, 1, tzinfo=UTC)
    memories = (Memory(MemoryId(UUID(int=n)), Scope("a", "u"), "x" * length, made) for n in range(number))
    return [(memory, EMBEDDING) for memory in memories]


@pytest.fixture
def here(monkeypatch):
    """Of each row whether the thread of the event loop has made it."""
    told = []

    def noting(memory, embedding):
        told.append(threading.current_thread() is threading.main_thread())
        return row_of(memory, embedding)

    monkeypatch.setattr(adding, "row_of", noting)
    return told


@pytest.mark.parametrize(
    ("number", "length", "beside"),
    [(0, 1, 0), (1, 8000, 0), (2, 8000, 0), (3, 8000, 3), (500, 8000, 498), (5000, 1, 0)],
)
async def test_many_words_are_looked_for_beside_the_loop_and_few_at_once(here, number, length, beside):
    rows = await adding.rows_of(entries(number, length))
    assert [row[0] for row in rows] == [UUID(int=n) for n in range(number)]
    assert len(here) == number
    assert here.count(False) == beside
