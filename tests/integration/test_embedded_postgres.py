import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
from structlog.testing import capture_logs

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, embedded, keeper
from agent_memory.adapters.postgres.cluster import Cluster
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.semantic.memory import Scope

pytestmark = pytest.mark.integration
SCOPE = Scope("agent", "user")


def processes_of(folder: Path) -> list[psutil.Process]:
    """The keeper and the postmaster: whose command line names the folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status", "ppid"])  # read here: any of them may end at once
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(str(folder / "postgres" / "18") in part for part in process.info["cmdline"] or [])
    ]


def keeper_and_postmaster(folder: Path) -> tuple[psutil.Process, psutil.Process]:
    found = processes_of(folder)
    [keeper] = [p for p in found if any("keeper.py" in part for part in p.info["cmdline"])]
    [postmaster] = [p for p in found if p.info["ppid"] == keeper.pid]
    return keeper, postmaster


def kept_by_this_process(folder: Path) -> bool:
    return os.getpid() in {process.info["ppid"] for process in processes_of(folder)}


def wait_until(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


async def count_in(folder: Path) -> int:
    async with embedded.running(folder) as conninfo, connection.opened(conninfo, 1, 2) as database:
        return await PostgresMemoryStore(database).count(SCOPE)


async def test_what_was_acknowledged_survives_kill_9(tmp_path, owner_of):
    for round_ in range(3):
        owner = owner_of(tmp_path)
        for number in range(5):
            owner.tell(f"fact {round_} {number}")
        owner.kill()
    assert await count_in(tmp_path) == 15


async def test_the_database_ends_with_its_owner(tmp_path, owner_of):
    owner = owner_of(tmp_path)
    assert processes_of(tmp_path)
    owner.kill()
    assert wait_until(lambda: not processes_of(tmp_path))


async def test_starts_at_once_beside_a_database_that_lost_its_keeper(tmp_path, owner_of):
    owner = owner_of(tmp_path)
    owner.tell("a fact")
    keeper, _ = keeper_and_postmaster(tmp_path)
    keeper.send_signal(signal.SIGKILL)
    owner.kill()
    assert await count_in(tmp_path) == 1


async def test_a_guest_takes_the_place_of_an_owner_that_is_killed(tmp_path, owner_of):
    owner = owner_of(tmp_path)
    owner.tell("before")
    async with embedded.shared(tmp_path) as conninfo, connection.opened(conninfo, 1, 2) as database:
        assert conninfo == owner.conninfo
        store = PostgresMemoryStore(database)
        owner.tell("beside")
        assert await store.count(SCOPE) == 2
        owner.kill()
        # The first answer may still be the dying database's: the place is taken when the keeper is a child of ours.
        assert await asyncio.to_thread(wait_until, lambda: kept_by_this_process(tmp_path))
        assert await store.count(SCOPE) == 2
        with pytest.raises(Misconfigured, match="in use"):
            await count_in(tmp_path)
    assert not processes_of(tmp_path)


async def test_a_guest_that_leaves_takes_nothing_with_it(tmp_path, owner_of):
    owner = owner_of(tmp_path)
    async with embedded.shared(tmp_path):
        pass
    owner.tell("after")


async def test_a_database_that_is_killed_comes_back_under_the_same_pool(tmp_path):
    async with embedded.running(tmp_path) as conninfo, connection.opened(conninfo, 2, 4) as database:
        store = PostgresMemoryStore(database)
        assert await store.count(SCOPE) == 0
        _, postmaster = keeper_and_postmaster(tmp_path)
        postmaster.send_signal(signal.SIGKILL)
        assert await store.count(SCOPE) == 0


def killed(*processes: psutil.Process) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("dead", ["the keeper", "the keeper and the database"])
async def test_a_keeper_that_is_killed_has_a_successor(tmp_path, dead):
    async with embedded.running(tmp_path) as conninfo, connection.opened(conninfo, 2, 4) as database:
        store, embedder = PostgresMemoryStore(database), HashingEmbedder()
        memory = SemanticMemory(store, embedder)
        await memory.remember(agent_id="agent", user_id="user", content="before")
        for _ in range(2):
            keeper, postmaster = keeper_and_postmaster(tmp_path)
            killed(keeper, *([postmaster] if "database" in dead else []))
            await asyncio.to_thread(psutil.wait_procs, [keeper, postmaster], 10)
            assert not postmaster.is_running()
            assert await asyncio.to_thread(wait_until, lambda: len(processes_of(tmp_path)) == 2)
            assert kept_by_this_process(tmp_path)
            await memory.remember(agent_id="agent", user_id="user", content="after")
        assert await store.count(SCOPE) == 3
    assert not processes_of(tmp_path)


@pytest.fixture
def broken(tmp_path):
    """A database that has died and cannot start, and how to mend it."""

    def break_() -> Callable[[], object]:
        version = tmp_path / "postgres" / "18" / "PG_VERSION"
        right = version.read_text()
        version.write_text("12\n")
        killed(*keeper_and_postmaster(tmp_path))
        return lambda: version.write_text(right)

    return break_


async def test_a_keeper_that_has_given_up_has_a_successor(tmp_path, broken):
    async with embedded.running(tmp_path) as conninfo, connection.opened(conninfo, 1, 2) as database:
        store = PostgresMemoryStore(database)
        assert await store.count(SCOPE) == 0
        with capture_logs() as told:
            mend = broken()
            again = "the database is started again: its keeper has ended"
            starts = lambda: [line for line in told if line["event"] == again]  # noqa: E731
            assert await asyncio.to_thread(wait_until, lambda: len(starts()) == 3, 30)
            assert "incompatible" in starts()[-1]["said"]
            mend()
            assert await asyncio.to_thread(wait_until, lambda: len(processes_of(tmp_path)) == 2, 30)
        assert await store.count(SCOPE) == 0


async def test_leaving_waits_for_no_successor(tmp_path, broken):
    async with embedded.running(tmp_path):
        mend = broken()
        await asyncio.sleep(3)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not processes_of(tmp_path)
    mend()
    assert await count_in(tmp_path) == 0


@pytest.mark.parametrize("later", [0, 0.3, 0.6, 0.9])
async def test_leaving_ends_a_database_that_lost_its_keeper(tmp_path, later):
    async with embedded.running(tmp_path):
        keeper, _ = keeper_and_postmaster(tmp_path)
        killed(keeper)
        await asyncio.sleep(later)
    assert not processes_of(tmp_path)


async def test_who_could_not_start_may_start_again(tmp_path):
    server = embedded.server_in(tmp_path)
    server.start()
    server.stop()
    version = tmp_path / "postgres" / "18" / "PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(Misconfigured, match="incompatible"):
        server.start()
    version.write_text("18\n")
    psycopg.connect(server.start()).close()
    server.stop()
    assert not processes_of(tmp_path)


async def test_a_second_server_on_one_folder_is_refused(tmp_path):
    async with embedded.running(tmp_path):
        with pytest.raises(Misconfigured, match=f"process {os.getpid()}"):
            async with embedded.running(tmp_path):
                pass
    async with embedded.running(tmp_path):
        pass


async def test_stops_and_starts_again(tmp_path):
    for _ in range(2):
        async with embedded.running(tmp_path) as conninfo:
            psycopg.connect(conninfo).close()
        assert not processes_of(tmp_path)


async def test_a_number_left_by_a_dead_server_is_not_trusted(tmp_path):
    async with embedded.running(tmp_path):
        pass
    left = tmp_path / "postgres" / "18" / "postmaster.pid"
    left.write_text(f"{os.getpid()}\n{left.parent}\n0\n5432\n\n\n")
    async with embedded.running(tmp_path) as conninfo:
        psycopg.connect(conninfo).close()


@pytest.fixture
def by_hand(tmp_path):
    """A PostgreSQL on our folder that is none of ours."""
    server = embedded.server_in(tmp_path)
    server.start()
    server.stop()
    data, socket_dir = tmp_path / "postgres" / "18", Cluster(tmp_path / "postgres").socket_dir()
    user = ["--user", "nobody"] if os.geteuid() == 0 else []
    command = [sys.executable, keeper.__file__, *user, embedded._binary("postgres"), "-D", str(data)]
    where = ["-k", str(socket_dir), "-p", "5499", "-c", "listen_addresses="]
    with subprocess.Popen([*command, *where], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert wait_until(lambda: "ready" in told_in(data / "postmaster.pid"))
        yield data / "postmaster.pid"
        process.stdin.close()


def told_in(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def test_a_database_that_somebody_else_runs_in_the_folder_is_left_alone(tmp_path, by_hand):
    before = by_hand.read_text()
    with pytest.raises(Misconfigured) as caught:
        await count_in(tmp_path)
    assert f"(process {before.split()[0]})" in str(caught.value)
    assert str(by_hand.parent) in str(caught.value)
    assert by_hand.read_text() == before


async def test_a_half_made_database_is_made_again(tmp_path):
    half = tmp_path / "postgres" / "18.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert await count_in(tmp_path) == 0


async def test_a_long_path_has_its_socket_elsewhere(tmp_path):
    folder = tmp_path / ("long" * 30)
    async with embedded.running(folder) as conninfo:
        psycopg.connect(conninfo).close()
        assert str(folder) not in conninfo


async def test_a_folder_with_spaces_and_quotes_serves(tmp_path):
    assert await count_in(tmp_path / "it's a folder") == 0


async def test_an_impossible_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="no database can live in "):
        async with embedded.running(tmp_path / "file"):
            pass


async def test_a_broken_database_says_why(tmp_path):
    async with embedded.running(tmp_path):
        pass
    (tmp_path / "postgres" / "18" / "PG_VERSION").write_text("12\n")
    with pytest.raises(Misconfigured, match="incompatible"):
        async with embedded.running(tmp_path):
            pass


def test_is_private(conninfo):
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    assert Path(parts["host"]).stat().st_mode & 0o777 == 0o700
    with psycopg.connect(conninfo) as database:
        assert database.execute("SHOW listen_addresses").fetchone() == ("",)
        assert database.execute("SHOW fsync").fetchone() == ("on",)
