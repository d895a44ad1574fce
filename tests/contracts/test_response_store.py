"""What every `ResponseStore` promises."""

from datetime import timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.responses import InMemoryResponseStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.responses import PostgresResponseStore
from agent_memory.domain.responses import KeptResponse


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def store(request):
    if request.param == "in_memory":
        yield InMemoryResponseStore()
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 2, 4) as database:
            yield PostgresResponseStore(database)


@pytest.fixture
async def line(store):
    """Three responses, each going on from the one before; the second has two that go on from it."""
    names = [f"it's %s resp_{uuid4()}" for _ in range(4)]
    line = [KeptResponse(name, '["é"]', "{}", previous) for name, previous in zip(names, [None, *names], strict=False)]
    line[3] = KeptResponse(names[3], "[]", "{}", names[1])
    for each in line:
        await store.keep("ada", each)
    return line


async def test_a_response_comes_back_with_all_it_went_on_from(store, line):
    assert await store.lineage("ada", line[0].id) == line[:1]
    assert await store.lineage("ada", line[2].id) == line[:3]
    assert await store.lineage("ada", line[3].id) == [*line[:2], line[3]]


async def test_one_response_comes_alone(store, line):
    assert await store.get("ada", line[2].id) == line[2]
    assert await store.get("eve", line[2].id) is await store.get("ada", "resp_unknown") is None


async def test_of_a_lineage_that_is_too_long_or_too_large_no_more_comes_than_shows_it(store, line):
    assert await store.lineage("ada", line[2].id, most=3) == line[:3]
    assert await store.lineage("ada", line[2].id, most=2) == line[:3]
    assert await store.lineage("ada", line[2].id, most=1) == line[1:3]
    size = line[0].size
    assert size == len('["é"]{}'.encode())
    assert await store.lineage("ada", line[2].id, most_bytes=2 * size) == line[:3]
    assert await store.lineage("ada", line[2].id, most_bytes=2 * size - 1) == line[1:3]
    assert await store.lineage("ada", line[2].id, most_bytes=0) == line[2:3]


async def test_what_nobody_kept_has_no_lineage(store):
    assert await store.lineage("ada", "resp_unknown") == []
    assert not await store.delete("ada", "resp_unknown")


async def test_nobody_sees_or_deletes_anothers(store, line):
    assert await store.lineage("eve", line[2].id) == []
    assert not await store.delete("eve", line[2].id)
    await store.keep("eve", KeptResponse("resp_eve", "[]", "{}", line[2].id))
    assert [each.id for each in await store.lineage("eve", "resp_eve")] == ["resp_eve"]


async def test_those_that_went_on_from_a_deleted_one_stay(store, line):
    assert await store.delete("ada", line[1].id)
    assert await store.lineage("ada", line[1].id) == []
    assert await store.lineage("ada", line[2].id) == line[2:3]
    assert not await store.delete("ada", line[1].id)


async def test_old_ones_are_forgotten(store, line):
    await store.purge(timedelta(days=1))
    assert await store.lineage("ada", line[0].id) == line[:1]
    assert await store.purge(timedelta(0)) >= 4
    assert await store.lineage("ada", line[0].id) == []
