"""How often the memories of each scope were written: counts in a file that all users of an embedded database map.

Whoever writes counts before it begins and after it has ended. A scope whose counts are what they were before it was
read, with no write under way, is what it was; nobody need ask the database. A writer that dies in between leaves its
count open: such scopes are asked for, until the database starts anew. Scopes are known by hashes, and some share a
count. Who writes without counting is not known here.
"""

import fcntl
import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

import numpy as np
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Scope

_NAME = "writes"
# Of each count how many writes every writer has begun, and then how many of these have ended.
_COUNTS, _WRITERS, _BYTES = 4096, 32, 8
_SIDE = _WRITERS * _BYTES
_SIZE = _COUNTS * 2 * _SIDE
_ALL = 0  # the count of writes that may be of any scope
_CROWD = 0  # the number of all writers for whom there is no other


class WriteCounts:
    """Belongs to one event loop, and has a number that no other writer has."""

    def __init__(self, file: int, shared: mmap.mmap, number: int) -> None:
        self._file = file
        self._shared = shared
        self._number = number
        self._open = True
        if number == _CROWD:  # what several count at once may come out wrong: they are always writing
            self._count(_place(_ALL, _CROWD))

    @contextmanager
    def writing(self, scopes: Iterable[Scope] | None) -> Iterator[None]:
        """While memories of these are written; None: of any. Raises Unavailable where the disk takes no count."""
        counts = {_ALL} if scopes is None else {_count_of(scope) for scope in scopes}
        places = [_place(count, self._number) for count in counts] if self._open and self._number != _CROWD else []
        try:
            for place in places:
                self._count(place)
        except OSError as error:
            raise Unavailable(f"the disk of the database takes no count of writes: {error}") from error
        try:
            yield
        finally:
            # What goes on when these are closed, or when the disk is full, is never known to have ended.
            with suppress(OSError):
                for place in places if self._open else ():
                    self._count(place + _SIDE)

    def state(self, scope: Scope) -> bytes | None:
        """Another one after each write; None while one is under way."""
        if not self._open:
            return None
        own, all_ = self._settled(_count_of(scope)), self._settled(_ALL)
        return None if own is None or all_ is None else own + all_

    def close(self) -> None:
        self._open = False

    def _settled(self, count: int) -> bytes | None:
        counts = self._shared[_place(count) : _place(count + 1)]
        begun = counts[:_SIDE]
        return begun if begun == counts[_SIDE:] else None

    def _count(self, place: int) -> None:
        """One more. Written to the file: a page of the map that a full disk does not take would be our end."""
        number = int.from_bytes(self._shared[place : place + _BYTES], sys.byteorder)
        os.pwrite(self._file, (number + 1).to_bytes(_BYTES, sys.byteorder), place)


def prepare(folder: Path) -> None:
    """Before the database in it starts: what the dead have begun has ended, for nobody does it any more."""
    with _mapped(folder, os.O_CREAT) as (file, shared):
        counts = np.frombuffer(bytes(shared), np.uint64).reshape(_COUNTS, 2, _WRITERS)
        for number in range(_WRITERS):
            with _locked(folder, number, fcntl.LOCK_EX) as free:
                unsettled = np.flatnonzero(counts[:, 0, number] != counts[:, 1, number])
                for count in unsettled.tolist() if free else ():
                    os.pwrite(file, counts[count, 0, number].tobytes(), _place(count, number) + _SIDE)


@contextmanager
def joined(conninfo: str) -> Iterator[WriteCounts | None]:
    """The counts of the embedded database at this address; None if there is another one."""
    folder = _socket_folder(conninfo)
    if folder is None or not (folder / _NAME).exists():
        yield None
        return
    with _mapped(folder) as (file, shared), _numbered(folder) as number:
        counts = WriteCounts(file, shared, number)
        try:
            yield counts
        finally:
            counts.close()


def _socket_folder(conninfo: str) -> Path | None:
    try:
        host = str(conninfo_to_dict(conninfo).get("host") or "")
    except ProgrammingError:  # whoever connects will tell
        return None
    return Path(host) if host.startswith("/") else None


@contextmanager
def _mapped(folder: Path, flags: int = 0) -> Iterator[tuple[int, mmap.mmap]]:
    """The file, and what is in it; what is written to the one is read in the other."""
    file = os.open(folder / _NAME, os.O_RDWR | flags, 0o600)
    try:
        if os.fstat(file).st_size != _SIZE:
            os.truncate(file, _SIZE)
        with mmap.mmap(file, _SIZE, access=mmap.ACCESS_READ) as shared:
            yield file, shared
    finally:
        os.close(file)


@contextmanager
def _numbered(folder: Path) -> Iterator[int]:
    for number in range(_CROWD + 1, _WRITERS):
        with _locked(folder, number, fcntl.LOCK_EX) as ours:
            if ours:
                yield number
                return
    with _locked(folder, _CROWD, fcntl.LOCK_SH):
        yield _CROWD


@contextmanager
def _locked(folder: Path, number: int, kind: int) -> Iterator[bool]:
    """Whether that number is ours as long as the context lasts; a process that ends gives it back."""
    lock = os.open(folder / f"writer-{number:02}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _count_of(scope: Scope) -> int:
    name = f"{scope.tenant}\0{scope.agent_id}\0{scope.user_id}"
    return 1 + crc32(name.encode()) % (_COUNTS - 1)


def _place(count: int, number: int = 0) -> int:
    return count * 2 * _SIDE + number * _BYTES
