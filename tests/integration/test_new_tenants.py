"""A tenant that came after the planner has counted: it expects a row of his or none, and must not go through all that
there are for each that it looks up.
"""

import pytest
from databases import new_database
from scopes import entry, memory_in, search

from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.domain.semantic.memory import Scope
from agent_memory.domain.semantic.selection import Selection
from agent_memory.domain.semantic.weighing import Weighing

pytestmark = pytest.mark.integration
SIZE = 1200
NEW = Scope("agent", "user", "new")


@pytest.fixture(scope="module")
def own(conninfo):
    return new_database(conninfo)


@pytest.fixture
async def database(own):
    async with connection.opened(own, 1, 1) as opened:
        archive = PostgresMemoryArchive(opened)
        if not await PostgresMemoryStore(opened).count(NEW):
            old = Scope("agent", "user", "old")
            await archive.add_many([await entry(memory_in(old, f"tea {n}", n)) for n in range(300)])
            await opened.read(lambda c: c.execute("ANALYZE agent_memory.memories"))
            await opened.read(lambda c: c.execute("ALTER TABLE agent_memory.memories SET (autovacuum_enabled = off)"))
            await archive.add_many([await entry(memory_in(NEW, f"tea {n}", n)) for n in range(SIZE)])
        yield opened


async def rows_read(database):
    async def work(connection):
        await connection.execute("SELECT pg_stat_force_next_flush()")
        figures = await connection.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'memories'"
        )
        return (await figures.fetchone())[0]

    return await database.read(work)


@pytest.mark.parametrize("depth", [20, 400])
@pytest.mark.parametrize("weighing", [None, Weighing(0.7)])
@pytest.mark.parametrize("tags", [(), ("nobody's",)])
async def test_a_search_of_a_large_scope_reads_it_a_few_times_at_most(database, depth, weighing, tags):
    store = PostgresMemoryStore(database, 100)
    question = await search(NEW, "tea 5", depth, Selection(tags=frozenset(tags)), weighing=weighing)
    await store.shortlist(question)  # how large it is
    before = await rows_read(database)
    found = (await store.shortlist(question)).candidates
    assert (await rows_read(database)) - before < 20 * SIZE
    assert len(found) == 0 if tags else len(found) >= min(depth, SIZE)
