import asyncio
import json
from importlib.resources import files
from uuid import UUID, uuid4

import psycopg
import pytest
from databases import new_database
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL

from agent_memory.adapters.postgres import condensing, connection
from agent_memory.adapters.postgres.answers import PostgresAnswerBook
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.domain.answers import Claim
from agent_memory.domain.errors import Misconfigured, Unavailable
from agent_memory.domain.semantic.memory import MemoryId, Scope

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(conninfo):
    return new_database(conninfo)


def versions(conninfo) -> list[int]:
    with psycopg.connect(conninfo) as database:
        rows = database.execute("SELECT version FROM agent_memory.schema_versions ORDER BY version").fetchall()
    return [version for (version,) in rows]


async def test_eight_workers_may_start_at_once_on_an_empty_database(empty):
    async def worker() -> None:
        async with connection.opened(empty, 1, 1):
            pass

    await asyncio.gather(*(worker() for _ in range(8)))
    assert versions(empty) == sorted(set(versions(empty)))
    assert versions(empty)[0] == 1


async def test_opening_again_changes_nothing(empty):
    async with connection.opened(empty, 1, 1):
        before = versions(empty)
    async with connection.opened(empty, 1, 1):
        assert versions(empty) == before


ADD = """
INSERT INTO agent_memory.memories
    (id, tenant, agent_id, user_id, content, memory_type, importance, created_at, embedding, embedding_model, words,
     tags, metadata, superseded_by)
VALUES (%s, 'default', 'a', %s, 'x', %s, 1, now(), '[1]', 'm', '{}', %s, %s, %s)
"""
COUNTED = {"condensed": {"memories": 2, "from": "x", "until": "y"}}
RESTORED = {"condensed": "restored", "n": 1}
OF_BEFORE = [  # number, user, type, tags, metadata, superseded by; what condensing knows, and what is left of metadata
    (1, "u", "semantic", ["condensed"], COUNTED, None, "summary", COUNTED),
    (2, "u", "episodic", [], COUNTED, None, "summary", COUNTED),  # it stands for another
    (3, "u", "episodic", [], {}, 2, None, {}),
    (4, "u", "episodic", ["condensed"], COUNTED, None, None, COUNTED),
    (5, "u", "semantic", [], COUNTED, None, None, COUNTED),
    (6, "v", "episodic", [], {}, 5, None, {}),  # another's
    (7, "u", "semantic", ["condensed"], {"condensed": {"memories": 2}}, None, None, {"condensed": {"memories": 2}}),
    (8, "u", "episodic", [], RESTORED, None, "restored", {"n": 1}),
    (9, "u", "semantic", [], RESTORED, None, None, RESTORED),
    (10, "u", "semantic", ["condensed"], {"condensed": [*COUNTED["condensed"]]}, None, None, None),
]


async def test_what_the_metadata_told_of_condensing_becomes_a_column(empty):
    async with connection.opened(empty, 1, 1):
        pass
    migrations = files("agent_memory.adapters.postgres.migrations")
    with psycopg.connect(empty) as database:
        database.execute("ALTER TABLE agent_memory.memories DROP COLUMN condensing")
        for number, user, kind, tags, metadata, by, *_ in OF_BEFORE:
            successor = by and UUID(int=by)
            database.execute(ADD, [UUID(int=number), user, kind, tags, json.dumps(metadata), successor])
        table = "SELECT pg_relation_filenode('agent_memory.memories')"
        [place] = database.execute(table).fetchone()
        database.execute(migrations.joinpath("0015_condensing.sql").read_text())
        assert database.execute(table).fetchone() == (place,)  # the table is not written anew
        rows = database.execute("SELECT condensing, metadata FROM agent_memory.memories ORDER BY id").fetchall()
    assert rows == [(known, metadata if left is None else left) for *_, metadata, _, known, left in OF_BEFORE]


async def test_what_has_too_much_is_counted_by_an_index_and_no_memory_is_read(empty):
    async with connection.opened(empty, 1, 1):
        pass
    with psycopg.connect(empty, autocommit=True) as database:
        for _ in range(200):
            database.execute(ADD, [uuid4(), "u", "episodic", [], "{}", None])
        database.execute("VACUUM ANALYZE agent_memory.memories")
        database.execute("SET enable_seqscan = off")
        plan = database.execute(SQL("EXPLAIN ") + condensing.CROWDED, [100]).fetchall()
    assert "Index Only Scan using memories_lasting" in str(plan)


async def test_a_server_that_has_read_and_then_writes_waits_for_no_index_of_what_lasts(empty):
    async with connection.opened(empty, 1, 1):
        pass
    step = files("agent_memory.adapters.postgres.migrations").joinpath("0022_lasting.sql").read_text()
    async with (
        await psycopg.AsyncConnection.connect(empty) as newer,
        await psycopg.AsyncConnection.connect(empty) as old,
    ):
        await newer.execute("DROP INDEX agent_memory.memories_lasting")
        await newer.execute("CREATE INDEX memories_episodic ON agent_memory.memories (tenant)")
        await newer.commit()
        await old.execute("SELECT FROM agent_memory.memories")
        migrated = asyncio.create_task(newer.execute(step))
        while not await waiting(empty):
            pass
        await old.execute("UPDATE agent_memory.memories SET importance = 0")
        await old.commit()
        await migrated


async def waiting(conninfo) -> bool:
    """Whether anybody waits for a lock of this database."""
    async with await psycopg.AsyncConnection.connect(conninfo) as database:
        asked = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return await (await database.execute(asked)).fetchone() is not None


async def test_versions_of_before_are_as_old_as_their_memory_and_no_row_is_written(empty):
    async with connection.opened(empty, 1, 1):
        pass
    migrations = files("agent_memory.adapters.postgres.migrations")
    with psycopg.connect(empty) as database:
        for table in ("memories", "memory_versions"):
            database.execute(f"ALTER TABLE agent_memory.{table} DROP COLUMN revised_at")
        database.execute(ADD, [UUID(int=1), "u", "semantic", [], "{}", None])
        database.execute("UPDATE agent_memory.memories SET version = 2")
        database.execute(
            "INSERT INTO agent_memory.memory_versions SELECT id, 1, content, memory_type, importance, tags, metadata, "
            "expires_at, event_time, tenant FROM agent_memory.memories"
        )
        written = "SELECT ctid, xmin FROM agent_memory.memories"
        [before] = database.execute(written).fetchall()
        database.execute(migrations.joinpath("0016_revised_at.sql").read_text())
        assert database.execute(written).fetchall() == [before]
        database.commit()
    async with connection.opened(empty, 1, 1) as database:
        second, first = await PostgresMemoryArchive(database).history(MemoryId(UUID(int=1)), "a", tenant="default")
    assert (second.version, first.version) == (2, 1)
    assert second.updated_at == first.updated_at == first.created_at


async def test_a_key_that_an_older_server_claimed_gets_ids_when_its_request_comes_again(empty):
    async with connection.opened(empty, 1, 1) as database:
        with psycopg.connect(empty) as older:
            older.execute(
                "INSERT INTO agent_memory.answers (key, request, tenant, agent_id, user_id) "
                "VALUES ('key', 'one', 'default', 'a', 'u')"
            )
        book, scope = PostgresAnswerBook(database), Scope("a", "u")
        one, two, three = ([MemoryId(uuid4()) for _ in range(number)] for number in (1, 2, 2))
        assert await book.claim("key", "another", scope, one) == Claim("one", [])
        assert await book.claim("key", "one", scope, two) == Claim("one", two)
        assert await book.claim("key", "one", scope, three) == Claim("one", two)


async def test_what_an_older_server_answered_is_told_no_more_nor_done_again(empty):
    async with connection.opened(empty, 1, 1):
        pass
    migrations = files("agent_memory.adapters.postgres.migrations")
    known = UUID(int=1)
    with psycopg.connect(empty) as older:
        older.execute("ALTER TABLE agent_memory.answers DROP COLUMN forgotten, DROP COLUMN repeated")
        older.execute("DROP INDEX agent_memory.answers_by_memory")
        for key, ids, answer in (("old", [], "yes"), ("cut off", [], None), ("new", [known], "yes")):
            older.execute(
                "INSERT INTO agent_memory.answers (key, request, tenant, agent_id, user_id, memory_ids, answer) "
                "VALUES (%s, 'one', 'default', 'a', 'u', %s, %s)",
                [key, ids, answer],
            )
        older.execute(migrations.joinpath("0021_forgotten_answers.sql").read_text())
    async with connection.opened(empty, 1, 1) as database:
        book, scope, ids = PostgresAnswerBook(database), Scope("a", "u"), [MemoryId(uuid4())]
        assert (await book.claim("old", "one", scope, ids)).forgotten
        assert (await book.claim("old", "one", scope, ids)).answer is None
        assert await book.claim("cut off", "one", scope, ids) == Claim("one", ids)
        assert await book.claim("new", "one", scope, ids) == Claim("one", [known], "yes")


async def test_a_role_that_may_make_no_schema_needs_one_of_its_own(empty):
    role = f"role_{uuid4().hex}"
    as_role = make_conninfo(empty, user=role)
    with psycopg.connect(empty, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN")
        owner.execute("CREATE EXTENSION vector")
        with pytest.raises(
            Misconfigured, match=f"schema agent_memory that belongs to {role} .*GRANT CREATE ON DATABASE"
        ):
            await open_once(as_role)
        owner.execute(f"CREATE SCHEMA agent_memory AUTHORIZATION {role}")
    await open_once(as_role)
    await open_once(as_role)
    assert versions(as_role) == versions(empty) != []


@pytest.mark.parametrize("at_home", [True, False])
async def test_a_database_with_an_older_pgvector_is_refused_and_left_as_it_is(empty, at_home):
    """It would be taken, and a setting that it does not know be kept for one of somebody else's."""
    if at_home:
        await open_once(empty)
    with psycopg.connect(empty, autocommit=True) as owner:
        owner.execute("CREATE EXTENSION IF NOT EXISTS vector")
        owner.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
        with pytest.raises(Misconfigured, match=r"has 0\.7\.4.*ALTER EXTENSION vector UPDATE"):
            await open_once(empty)
        [[schema, kept]] = owner.execute(
            "SELECT to_regnamespace('agent_memory') IS NOT NULL, extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchall()
    assert (schema, kept) == (at_home, "0.7.4")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_every_text_is_refused_and_left_as_it_is(conninfo, encoding):
    other = new_database(conninfo, f"ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(Misconfigured, match=f"UTF8 is needed, and this one has {encoding}"):
        await open_once(other)
    with psycopg.connect(other) as owner:
        assert owner.execute("SELECT to_regnamespace('agent_memory') IS NULL").fetchone() == (True,)


async def test_an_older_program_does_not_begin_on_the_schema_of_a_later_one(empty):
    await open_once(empty)
    [*_, ours] = versions(empty)
    with psycopg.connect(empty, autocommit=True) as owner:
        owner.execute("INSERT INTO agent_memory.schema_versions (version, name) VALUES (9001, 'of the future')")
        with pytest.raises(
            Misconfigured, match=f"has schema 9001, and this agent_memory knows no later one than {ours}"
        ):
            await open_once(empty)
        owner.execute("DELETE FROM agent_memory.schema_versions WHERE version = 9001")
    await open_once(empty)


async def open_once(conninfo) -> None:
    async with connection.opened(conninfo, 1, 1):
        pass


async def test_an_absent_database_is_misconfigured(conninfo):
    with pytest.raises(Misconfigured, match="nowhere"):
        async with connection.opened(conninfo.replace("dbname=postgres", "dbname=nowhere"), 1, 1):
            pass


async def test_nonsense_for_a_database_is_misconfigured():
    with pytest.raises(Misconfigured):
        async with connection.opened("no such thing", 1, 1):
            pass


async def test_a_database_that_is_not_there_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE_AT_START", 0.2)
    with pytest.raises(Unavailable, match="does not answer"):
        async with connection.opened(f"host={tmp_path} dbname=postgres user=x", 1, 1):
            pass
