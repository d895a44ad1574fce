"""Who uses an embedded database tells the others what he writes; then a scope that nobody has written need not be asked
for. Told too little, a search would miss what is there: that is what these tests look for.
"""

import asyncio
import contextlib
import fcntl
import os
import random
import re
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from databases import new_database
from lives import Life
from scopes import NOW, contents, entry, memory_in, writer

from agent_memory.adapters.postgres import connection, embedded, write_counts
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.rows import ADD, row_of
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.domain.errors import Misconfigured, Unavailable
from agent_memory.domain.semantic.memory import Scope

pytestmark = pytest.mark.integration
LONG = 600.0  # seconds: in a test nobody is asked after a time


def believing(database):
    return PostgresMemoryStore(database, cache=ScopeCache(database, believed=LONG))


async def until(holds):
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 -- it is told by another process
            await asyncio.sleep(0.01)


# What each does in a process of its own: no more often than one search can bring of it.
PROGRAM = """
import asyncio, sys
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.domain.semantic.memory import Scope
from tests.scopes import entry, memory_in

async def main():
    scope = Scope(sys.argv[2], "user")
    async with connection.opened(sys.argv[1], 1, 2) as database:
        store = PostgresMemoryStore(database)
        for number in range(900):
            await {act}
            print(number, flush=True)
        await asyncio.sleep(1000)

asyncio.run(main())
"""
WRITES = "store.add(*await entry(memory_in(scope, f'tea {number}', number)))"
DIES_WRITING = "database.run(lambda c: c.execute('SELECT pg_sleep(1000)'), writes=[scope])"


@asynccontextmanager
async def another_process(act, conninfo, scope):
    command = [sys.executable, "-c", PROGRAM.format(act=act), conninfo, scope.agent_id]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_nobody_is_asked_for_what_nobody_has_written(database, scope, asked):
    store, other = believing(database), of_another(scope)
    await store.add(*await entry(memory_in(scope)))
    for _ in range(5):
        assert await contents(store, scope) == ["tea in the garden"]
    assert len(asked) == 1
    await store.add(*await entry(memory_in(other)))
    assert await contents(store, scope) == ["tea in the garden"]
    assert len(asked) == 1
    await store.add(*await entry(memory_in(scope, "more tea", 1)))
    assert await contents(store, scope) == ["tea in the garden", "more tea"]
    await database.run(lambda c: c.execute("DELETE FROM agent_memory.memories WHERE agent_id = %s", [scope.agent_id]))
    assert await contents(store, scope) == []
    assert len(asked) == 4  # once more, for which are left
    assert await contents(store, scope) == []
    assert store._cache.pop_stats()["unchanged"] == 6


def of_another(scope):
    return Scope(scope.agent_id, "another user")


@pytest.mark.parametrize("verb", ["add", "add_many", "tell_many", "reinforce"])
async def test_what_makes_room_for_another_is_counted_where_it_was(database, scope, verb):
    store, archive, other = PostgresMemoryStore(database), PostgresMemoryArchive(database), of_another(scope)
    over = memory_in(other, expires_at=NOW)
    await store.add(*await entry(over))
    before = database.state(other)
    new = await entry(replace(over, scope=scope, expires_at=None))
    if verb in {"add", "reinforce"}:
        await getattr(store if verb == "add" else archive, verb)(*new, NOW)
    else:
        await getattr(archive, verb)([new], NOW)
    assert database.state(other) not in {None, before}
    assert (await store.count(other), await store.count(scope)) == (0, 1)


async def test_what_is_being_written_is_asked_for(database, scope, asked):
    store = believing(database)
    assert await contents(store, scope) == []
    added, go_on = asyncio.Event(), asyncio.Event()

    async def work(connection):
        await connection.execute(ADD, row_of(*await entry(memory_in(scope))))
        added.set()
        await go_on.wait()

    for whose in ([scope], None):
        writing = asyncio.create_task(database.run(work, writes=whose))
        await added.wait()
        assert database.state(scope) is None
        found, before = await contents(store, scope), len(asked)
        assert await contents(store, scope) == found
        assert len(asked) == before + 1
        go_on.set()
        await writing
        go_on.clear()
        added.clear()
        await contents(store, scope)
        assert await contents(store, scope)
        assert len(asked) == before + 2
        await PostgresMemoryArchive(database).erase(
            "user", scope.agent_id, memory_in(scope).created_at, tenant="default"
        )
        assert await contents(store, scope) == []


async def test_what_is_written_by_hand_is_seen_after_a_while(conninfo, database, scope):
    for believed, seen in ((LONG, False), (0.0, True)):
        store = PostgresMemoryStore(database, cache=ScopeCache(database, believed=believed))
        before = await contents(store, scope)
        with writer(conninfo) as by_hand:
            by_hand.execute(ADD, row_of(*await entry(memory_in(scope, f"{believed}"))))
        assert (await contents(store, scope) != before) is seen


async def test_processes_hear_of_each_other_at_once(conninfo, database, scope):
    store = believing(database)
    async with another_process(WRITES, conninfo, scope) as process:
        for number in range(300):
            assert int(await process.stdout.readline()) == number
            assert f"tea {number}" in await contents(store, scope, query=f"tea {number}", depth=1000)
    assert store._cache.pop_stats().get("too_large", 0) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_a_writer_that_is_killed_hides_nothing(conninfo, database, scope, seed):
    store, exact = believing(database), PostgresMemoryStore(database, small_up_to=0, cache=ScopeCache(database, 0))
    told = -1
    async with another_process(WRITES, conninfo, scope) as process:
        await process.stdout.readline()
        reading = asyncio.create_task(asyncio.sleep(random.Random(seed).uniform(0.02, 0.3)))
        while not reading.done():
            told = int(await process.stdout.readline())
            assert f"tea {told}" in await contents(store, scope, depth=1000)
        process.kill()
        rest = (await process.stdout.read()).split()
        told = int(rest[-1]) if rest else told
    found = await contents(store, scope, depth=1000)
    assert {f"tea {number}" for number in range(told + 1)} <= set(found)
    await asyncio.sleep(0.2)  # the database may still have been at what it was sent last
    assert await contents(store, scope, depth=1000) == await contents(exact, scope, depth=1000)


@pytest.mark.parametrize("act", [DIES_WRITING, DIES_WRITING.replace("[scope]", "None")])
async def test_who_takes_the_number_of_a_dead_one_settles_what_he_left(conninfo, database, scope, asked, act):
    store = believing(database)
    find = "FROM pg_stat_activity WHERE application_name LIKE 'agent_memory %' AND query LIKE '%pg_sleep(1000)'"
    async with another_process(act, conninfo, scope) as process:
        async with asyncio.timeout(30):
            while not (await database.read(lambda c: c.execute(f"SELECT {find}"))).rowcount:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    # The database still does what it was told.
    for _ in range(3):
        async with connection.opened(conninfo, 1, 1):
            assert database.state(scope) is None
        before = len(asked)
        await contents(store, scope)
        assert len(asked) == before + 1
    await database.read(lambda c: c.execute(f"SELECT pg_terminate_backend(pid, 5000) {find}"))
    async with connection.opened(conninfo, 1, 1):
        assert database.state(scope) is not None


async def test_the_dead_are_settled_when_the_database_starts(tmp_path, scope):
    async with embedded.running(tmp_path) as own, connection.opened(own, 1, 2) as database:
        async with another_process(DIES_WRITING, own, scope) as process:
            await until(lambda: database.state(scope) is None)
            assert database.state(of_another(scope)) is not None
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert database.state(scope) is None
    async with embedded.running(tmp_path) as own, connection.opened(own, 1, 2) as database:
        assert database.state(scope) is not None


async def test_who_comes_before_the_database_is_made_counts_too(tmp_path, scope):
    async def opened(folder, stack):
        own = await stack.enter_async_context(embedded.shared(folder))
        return await stack.enter_async_context(connection.opened(own, 1, 2))

    async with AsyncExitStack() as of_one, AsyncExitStack() as of_other:
        one, other = await asyncio.gather(opened(tmp_path, of_one), opened(tmp_path, of_other))
        for writer, reader in ((one, other), (other, one)):
            store = believing(reader)
            before = await contents(store, scope)
            await PostgresMemoryStore(writer).add(*await entry(memory_in(scope)))
            assert len(await contents(store, scope)) == len(before) + 1


async def test_however_the_database_is_addressed(conninfo, database, scope, monkeypatch):
    monkeypatch.setenv("PGHOST", re.search("host='(.*?)'", conninfo)[1])
    store = believing(database)
    assert await contents(store, scope) == []
    async with connection.opened(re.sub("host='.*?'", "", conninfo), 1, 1) as other:
        await PostgresMemoryStore(other).add(*await entry(memory_in(scope)))
    assert len(await contents(store, scope)) == 1


async def test_what_goes_on_when_its_database_is_closed_stays_under_way(conninfo, database, scope):
    async with connection.opened(conninfo, 1, 1) as closed:
        writing = closed._counts.writing([scope])
        writing.__enter__()
        assert closed.state(scope) is None
    writing.__exit__(None, None, None)
    assert database.state(scope) is None
    assert closed.state(of_another(scope)) is None
    with pytest.raises(Unavailable, match="closed"):
        await closed.run(lambda c: c.execute("SELECT 1"), writes=[scope])


async def test_a_disk_that_takes_no_count_takes_no_write(tmp_path, scope):
    """And whoever is there lives on: as when the disk is full."""
    write_counts.prepare(tmp_path)
    with write_counts.joined(tmp_path) as counts:
        readonly = os.open(tmp_path / "writes", os.O_RDONLY)
        with counts.writing([of_another(scope)]):
            os.dup2(readonly, counts._file)
        os.close(readonly)
        assert counts.state(of_another(scope)) is None
        with pytest.raises(Unavailable, match="takes no count"), counts.writing([scope]):
            pytest.fail("it was not counted")
        assert counts.state(scope) is not None


async def test_whoever_goes_on_through_a_start_stays_counted(tmp_path, scope):
    """A guest whose host has ended uses the next database in the same folder."""
    server = embedded.server_in(tmp_path)
    own = server.start()
    async with connection.opened(own, 1, 2) as guest:
        before = guest.state(scope)
        with guest._counts.writing([scope]):
            server.stop()
            server = embedded.server_in(tmp_path)
            assert server.start() == own
            async with connection.opened(own, 1, 2) as other:
                assert other.state(scope) is None
        assert guest.state(scope) not in (None, before)
        async with connection.opened(own, 1, 2) as other:
            store = believing(other)
            assert await contents(store, scope) == []
            await PostgresMemoryStore(guest).add(*await entry(memory_in(scope)))
            assert await contents(store, scope) == ["tea in the garden"]
    server.stop()


async def test_more_writers_than_there_are_numbers_for(tmp_path, scope):
    write_counts.prepare(tmp_path)
    with ExitStack() as stack:
        first = stack.enter_context(write_counts.joined(tmp_path))
        for _ in range(30):
            stack.enter_context(write_counts.joined(tmp_path))
        assert first.state(scope) is not None
        with write_counts.joined(tmp_path) as one_too_many:
            assert first.state(scope) is None
            with one_too_many.writing([scope]), one_too_many.writing(None):
                assert first.state(scope) is None
            write_counts.prepare(tmp_path)
            one_too_many.settle()
            assert first.state(scope) is None
        assert first.state(scope) is None  # what it wrote, and when, nobody can tell
        write_counts.prepare(tmp_path)
        assert first.state(scope) is not None


def test_a_number_is_free_when_its_process_has_ended(tmp_path):
    write_counts.prepare(tmp_path)
    for _ in range(100):
        with write_counts.joined(tmp_path) as counts:
            assert counts.name == "agent_memory 1"
    held = os.open(tmp_path / "writer-01.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with write_counts.joined(tmp_path) as counts:
        assert counts.name == "agent_memory 2"
    os.close(held)


@pytest.mark.parametrize("home", [None, Path("/nowhere"), Path("/" + 300 * "x")])
def test_another_database_has_no_counts(home):
    with write_counts.joined(home) as counts:
        assert counts is None


def test_who_counts_otherwise_is_refused_and_lives_on(tmp_path, scope, monkeypatch):
    write_counts.prepare(tmp_path)
    with write_counts.joined(tmp_path) as old:
        with monkeypatch.context() as patched:
            patched.setattr(write_counts, "_COUNTS", write_counts._COUNTS // 2)
            patched.setattr(write_counts, "_SIZE", write_counts._SIZE // 2)
            with pytest.raises(Misconfigured, match="another version"), write_counts.joined(tmp_path):
                pytest.fail("it would count elsewhere")
            write_counts.prepare(tmp_path)
        assert old.state(scope) is not None


def test_a_disk_that_is_full_later_has_room_for_counts(tmp_path):
    write_counts.prepare(tmp_path)
    file = (tmp_path / "writes").stat()
    assert file.st_blocks * 512 >= file.st_size


class Watched(Database):
    """Finds out what each piece of work has written, and compares it with what it said."""

    said = ()

    def writing(self, scopes):
        self.said = [*self.said, scopes]
        return super().writing(scopes)

    async def run(self, work, *, writes=None):
        self.said = []
        done = await super().run(work, writes=writes)
        await self.look(self.said)
        return done

    async def read(self, work):
        done = await super().read(work)
        await self.look([])
        return done

    async def look(self, said):
        rows = await super().read(lambda c: c.execute("DELETE FROM touched RETURNING agent_id, user_id, tenant"))
        touched = {Scope(*row) for row in await rows.fetchall()}
        assert None in said or touched <= {scope for scopes in said for scope in scopes}


@pytest.mark.parametrize("seed", range(3))
async def test_all_say_what_they_write(conninfo, seed):
    async with connection.opened(new_database(conninfo), 1, 1) as database:
        for statement in (
            "CREATE TABLE touched (agent_id text, user_id text, tenant text)",
            """CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO touched SELECT r.agent_id, r.user_id, r.tenant FROM (SELECT coalesce(NEW, OLD) AS m) AS x,
                    LATERAL (SELECT (x.m).agent_id, (x.m).user_id, (x.m).tenant) AS r;
                RETURN NULL; END $$""",
            """CREATE TRIGGER touched AFTER INSERT OR UPDATE OR DELETE ON agent_memory.memories
               FOR EACH ROW EXECUTE FUNCTION touch()""",
        ):
            await database.run(lambda c, statement=statement: c.execute(statement))
        watched = Watched(database._pool, database._counts)
        life = Life(f"{seed} {random.random()}", watched)
        for _ in range(60):
            await life.step()
        await life.compare()
        with pytest.raises(AssertionError):
            await watched.read(lambda c: c.execute("UPDATE agent_memory.memories SET importance = 1"))
