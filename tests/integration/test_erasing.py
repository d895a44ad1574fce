"""Erasing, purging and the time that statements may take, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from databases import new_database
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import archive, condensing, connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.forgetting import alone_in
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.rows import ADD, row_of
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope

pytestmark = pytest.mark.integration
NOW = datetime(2026, 6, 1, tzinfo=UTC)
AT_MOST_TWO = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM changed) > 2 THEN RAISE 'too many at once'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse AFTER UPDATE ON agent_memory.memories
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def scope():
    return Scope(f"agent-{uuid4()}", f"ada-{uuid4()}")


async def entry(scope, content, **fields):
    [embedding] = await HashingEmbedder().embed([content])
    return Memory(MemoryId(uuid4()), scope, content, NOW, **fields), embedding


async def test_who_is_erased_is_erased_from_what_is_condensed_meanwhile(conninfo, scope):
    async with connection.opened(conninfo, 2, 4) as database, await AsyncConnection.connect(conninfo) as condensing:
        await register_vector_async(condensing)
        await PostgresMemoryStore(database).add(*await entry(scope, "a secret"))
        async with condensing.transaction():
            await alone_in(condensing, scope)
            erasing = asyncio.create_task(
                PostgresMemoryArchive(database).erase(scope.user_id, None, NOW, tenant=scope.tenant)
            )
            await asyncio.sleep(0.2)
            assert not erasing.done()
            await condensing.execute(ADD, row_of(*await entry(scope, "a summary of secrets")))
        assert (await erasing).memories == 2
        assert await PostgresMemoryStore(database).count(scope) == 0


async def test_what_has_expired_goes_piece_by_piece(conninfo, scope, monkeypatch):
    monkeypatch.setattr(archive, "_PURGED_AT_ONCE", 2)
    async with connection.opened(conninfo, 1, 2) as database:
        store = PostgresMemoryStore(database)
        for number in range(5):
            await store.add(*await entry(scope, f"soon gone {number}", expires_at=NOW - timedelta(days=1)))
        await store.add(*await entry(scope, "stays"))
        assert await PostgresMemoryArchive(database).purge(NOW) >= 5
        assert await store.count(scope) == 1


async def test_what_fades_does_so_piece_by_piece(conninfo, scope, monkeypatch):
    """What somebody is just changing is not waited for: it fades another time."""
    monkeypatch.setattr(condensing, "_FADED_AT_ONCE", 2)
    own = new_database(conninfo)
    async with connection.opened(own, 1, 2) as database:
        store, condenses = PostgresMemoryStore(database), PostgresCondensingStore(database)
        entries = [await entry(scope, f"long ago {number}") for number in range(6)]
        for each in entries:
            await store.add(*each)
        with psycopg.connect(own) as changing:
            changing.execute(AT_MOST_TWO)
            changing.commit()
            changing.execute("SELECT FROM agent_memory.memories WHERE id = %s FOR UPDATE", [entries[2][0].id])
            assert await condenses.fade(timedelta(days=1), NOW + timedelta(days=2)) == 5
        left = await condenses.oldest(scope, 9, NOW)
        assert left == [entries[2][0]]
        assert await condenses.fade(timedelta(days=1), NOW + timedelta(days=2)) == 1


async def test_what_takes_too_long_is_told_as_that_and_not_tried_again(conninfo):
    tries = 0

    async def slow(held):
        nonlocal tries
        tries += 1
        await held.execute("SELECT pg_sleep(5)")

    async with connection.opened(conninfo, 1, 2, command_timeout=0.1) as database:
        with pytest.raises(Unavailable, match="longer than DB_COMMAND_TIMEOUT"):
            await database.run(slow)
    assert tries == 1
