"""The folder a database lives in: who may use it, and where its socket is.

Two locks tell the truth where process numbers lie, for they are reused, in containers soon:
`owner.lock` is held by the process that the database serves, `server.lock` by every process of the database.
"""

import contextlib
import fcntl
import hashlib
import os
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from agent_memory.adapters import unshared
from agent_memory.adapters.unshared import Descriptor
from agent_memory.domain.errors import Misconfigured, Unavailable

VERSION = "18"
PORT = "5432"
ROLE = "agent_memory"
_LONGEST_SOCKET = 103  # bytes in a socket's path: macOS has 104, Linux 108, both with the closing zero
_PATIENCE = 120.0  # seconds: a server that stops under load writes its last checkpoint first


class InUse(Misconfigured):
    """Another process has the folder, and its database runs, starts or stops."""


class Cluster:
    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().absolute()
        self.data = self.home / VERSION
        self.log = self.home / "log"

    def own(self) -> Descriptor:
        """Take the folder for this process, until the descriptor is closed or the process ends."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = unshared.opened(self.home / "owner.lock")
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(owner.fileno(), 20).decode() or "unknown"
            owner.close()
            raise InUse(
                f"{self.home} is in use by another server (process {holder}; this is {os.getpid()}): "
                "stop that one, choose another "
                "data directory, or give both one database with DATABASE_URL"
            ) from None
        os.truncate(owner.fileno(), 0)
        os.write(owner.fileno(), str(os.getpid()).encode())
        return owner

    @contextmanager
    def reserved(self) -> Iterator[Descriptor]:
        """The lock that the database's processes inherit, free of any that a killed owner has left behind."""
        with unshared.opened(self.home / "server.lock") as lock:
            self._await_predecessor(lock)
            self._refuse_stranger()
            # Whoever of ours wrote it is gone, for the lock is ours.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            yield lock

    def end_predecessor(self) -> None:
        """For the owner: no process of the database is left. Raises Unavailable if one does not stop."""
        with unshared.opened(self.home / "server.lock") as lock:
            self._await_predecessor(lock)

    def _await_predecessor(self, lock: Descriptor) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            # It is stopping already, unless its keeper was killed with its owner: then nobody has told it to.
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError, ProcessLookupError):
                os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
            time.sleep(0.02)
        raise Unavailable(f"the previous database server in {self.home} has not stopped in {_PATIENCE:.0f} s")

    def _refuse_stranger(self) -> None:
        """One started by hand has no lock of ours, but it answers where its file says. Raises Misconfigured."""
        with contextlib.suppress(OSError, ValueError):
            pid, _, _, port, socket_dir, *_ = (self.data / "postmaster.pid").read_text().splitlines()
            if self._is_served(socket_dir or "localhost", port):
                raise Misconfigured(
                    f"another PostgreSQL (process {pid}) runs in {self.data}, and this server did not start it: "
                    "stop it, choose another data directory, or give its address with DATABASE_URL"
                )

    def _is_served(self, host: str, port: str) -> bool:
        """Whether who answers there has these data; whoever does not say, as while it starts, may have them."""
        where = make_conninfo(host=host, port=port, user=ROLE, dbname="postgres", connect_timeout=2)
        if PGconn.ping(where.encode()) in {Ping.NO_RESPONSE, Ping.NO_ATTEMPT}:
            return False
        with contextlib.suppress(OSError, psycopg.Error), psycopg.connect(where) as connection:
            [[served]] = connection.execute("SHOW data_directory").fetchall()
            return self.data.samefile(served)
        return True

    def socket_dir(self) -> Path:
        """A private folder whose path is short enough: beside the data, or else in the temporary folder."""
        inside = self.home / "socket"
        if len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= _LONGEST_SOCKET:
            inside.mkdir(mode=0o700, exist_ok=True)
            return inside
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        outside = Path(tempfile.gettempdir()) / f"agent-memory-{os.getuid()}-{name}"
        outside.mkdir(mode=0o700, exist_ok=True)
        found = outside.lstat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700 or not stat.S_ISDIR(found.st_mode):
            raise Misconfigured(f"{outside} is not a private folder of this user: remove it")
        return outside

    def last_words(self) -> str:
        """The end of the log: what the database had to say before it gave up."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " / ".join(lines[-5:]) or "its log is empty"
