"""The database is away for longer than a restart takes, and comes back."""

import asyncio
import socket
import time

import psycopg
import pytest
from databases import new_database
from structlog.testing import capture_logs

from agent_memory.adapters.postgres import connection, embedded
from agent_memory.domain.errors import Misconfigured, Unavailable

pytestmark = pytest.mark.integration
NOBODY = "postgresql://nobody@127.0.0.1:{port}/nothing"


async def ask(database):
    await database.run(lambda c: c.execute("SELECT 1"))


@pytest.fixture
def server(tmp_path):
    server = embedded.server_in(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def nobody():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        yield NOBODY.format(port=taken.getsockname()[1])


async def test_soon_after_the_database_is_back_it_is_used_again(server, monkeypatch):
    """Until then the attempts to reach it come no further apart, asked or not, and requests wait no longer than set."""
    conninfo = await asyncio.to_thread(server.start)
    async with connection.opened(conninfo, 3, 6) as database:
        await asyncio.gather(*(ask(database) for _ in range(6)))
        monkeypatch.setattr(connection, "_PATIENCE", 1.0)
        with capture_logs() as told:
            await asyncio.to_thread(server.stop)
            began = time.monotonic()
            while time.monotonic() - began < 17:  # the pool's own attempts would be sixteen seconds apart by then
                asked = time.monotonic()
                with pytest.raises(Unavailable) as caught:
                    await ask(database)
                assert time.monotonic() - asked < 8
                assert caught.value.retry_after == 2
            await asyncio.to_thread(server.start)
            back = time.monotonic()
            monkeypatch.setattr(connection, "_PATIENCE", 30.0)
            await ask(database)
            assert time.monotonic() - back < 10
            async with asyncio.timeout(20):
                while database.pop_stats()["pool_available"] < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    events = [line["event"] for line in told if "connection lost" not in line["event"]]
    assert events == ["the database is away", "the database is back"]


async def told_of(conninfo, code, monkeypatch):
    """How often it was tried, what was said, and what was logged, where each attempt ends with that SQLSTATE."""
    monkeypatch.setattr(connection, "_PATIENCE", 1.0)
    tried = []

    async def work(c):
        tried.append(code)
        await c.execute(f"DO $$ BEGIN RAISE 'too much' USING ERRCODE = '{code}'; END $$")

    async with connection.opened(conninfo, 1, 1) as database:
        with capture_logs() as logged, pytest.raises(Unavailable) as caught:
            await database.run(work)
    return len(tried), str(caught.value), [line["event"] for line in logged]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("53100", "the database has no room left on its disk: too much"),
        ("53000", "the database lacks resources: too much"),
        ("53200", "the database lacks resources: too much"),
        ("53400", "the database lacks resources: too much"),
        ("25006", "the database takes no writes: too much"),
    ],
)
async def test_a_database_that_answers_that_it_cannot_is_not_asked_again(conninfo, monkeypatch, code, told):
    """The connection is not lost, a full disk is not emptied by asking, and a standby takes no writes."""
    assert await told_of(conninfo, code, monkeypatch) == (1, told, [])


@pytest.mark.parametrize("code", ["40P01", "40001"])
async def test_what_is_rolled_back_for_others_is_tried_again_and_nothing_is_lost(conninfo, monkeypatch, code):
    checked = []
    monkeypatch.setattr(connection.AsyncConnectionPool, "check", checked.append)
    attempts, told, logged = await told_of(conninfo, code, monkeypatch)
    assert attempts > 1
    assert told == "others write the same all the time: too much"
    assert set(logged) == {"transaction rolled back"}
    assert checked == []


async def test_of_two_that_wait_for_each_other_both_are_done(conninfo):
    async with connection.opened(conninfo, 2, 2) as database:
        both = asyncio.Barrier(2)

        async def lock(first, second):
            async def work(c):
                tried.append(first)
                async with c.transaction():
                    await c.execute("SELECT pg_advisory_xact_lock(%s)", [first])
                    if len(tried) <= 2:
                        await both.wait()
                    await c.execute("SELECT pg_advisory_xact_lock(%s)", [second])

            await database.run(work)

        tried: list[int] = []
        with capture_logs() as logged:
            await asyncio.gather(lock(1, 2), lock(2, 1))
    assert len(tried) == 3
    assert [line["event"] for line in logged] == ["transaction rolled back"]


async def test_one_with_too_many_connections_may_soon_have_fewer(conninfo, monkeypatch):
    attempts, told, logged = await told_of(conninfo, "53300", monkeypatch)
    assert attempts > 1
    assert told == "the database does not answer: too much"
    assert set(logged) == {"database connection lost"}


async def test_a_start_on_a_full_disk_says_so_and_does_not_wait(conninfo, monkeypatch):
    async def full(_):
        raise psycopg.errors.DiskFull("could not extend file")

    monkeypatch.setattr(connection, "migrate", full)
    with capture_logs() as logged, pytest.raises(Unavailable, match="has no room left on its disk: could not extend"):
        async with connection.opened(conninfo, 1, 1):
            pass
    assert logged == []


async def test_a_start_on_a_server_that_only_reads_says_what_is_needed(conninfo):
    standby = new_database(conninfo)
    async with connection.opened(standby, 1, 1):
        pass
    with psycopg.connect(standby, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {owner.info.dbname} SET default_transaction_read_only = on")
    with pytest.raises(Misconfigured, match=r"DATABASE_URL: the server there only reads \(a standby\?\)") as caught:
        async with connection.opened(standby, 1, 1):
            pass
    assert "\n" not in str(caught.value)


async def test_a_connection_that_takes_no_writes_gives_way_to_another(conninfo):
    """After a failover the one that we have leads to the former primary, and a new one to its heir."""
    async with connection.opened(conninfo, 1, 1) as database:
        await database.run(lambda c: c.execute("SET default_transaction_read_only = on"))
        await ask(database)
        with pytest.raises(Unavailable, match="the database takes no writes: cannot execute CREATE TABLE"):
            await database.run(lambda c: c.execute("CREATE TABLE failed_over ()"))
        await database.run(lambda c: c.execute("CREATE TABLE failed_over ()"))


async def test_a_start_without_a_database_says_that_it_waits_and_gives_up_in_time(nobody, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE_AT_START", 1.0)
    began = time.monotonic()
    with capture_logs() as told, pytest.raises(Unavailable, match="does not answer"):
        async with connection.opened(nobody, 1, 1):
            pass
    assert time.monotonic() - began < 20
    [line] = told
    assert line["event"] == "waiting for the database"
    assert "refused" in line["error"]


async def test_a_database_that_never_says_a_word_is_given_up_as_well(monkeypatch):
    """It lets us in, and then keeps still."""
    monkeypatch.setattr(connection, "_PATIENCE_AT_START", 2.0)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            async with connection.opened(NOBODY.format(port=mute.getsockname()[1]), 1, 1):
                pass
        assert time.monotonic() - began < 20


async def test_how_long_a_connection_may_take_is_the_operators_to_say(conninfo):
    async with connection.opened(f"{conninfo} connect_timeout=77", 1, 1) as database:
        told = await database.run(lambda c: asyncio.sleep(0, c.info.get_parameters()))
    assert told["connect_timeout"] == "77"
