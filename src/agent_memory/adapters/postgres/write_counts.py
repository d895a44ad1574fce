"""How often the memories of each scope were written: counts in a file that all users of an embedded database map.

Whoever writes counts before it begins and after it has ended. A scope whose counts are what they were before it was
read, with no write under way, is what it was; nobody need ask the database. A writer that dies in between leaves its
count open: such scopes are asked for, until it is certain that nothing goes on. Scopes are known by hashes, and some
share a count. Who writes without counting is not known here.
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

from agent_memory.adapters import unshared
from agent_memory.domain.errors import Misconfigured, Unavailable
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

    @property
    def name(self) -> str:
        """By which the database knows the connections of this writer, while any is there."""
        return f"agent_memory {self._number}"

    def settle(self) -> None:
        """For who has seen that the database does nothing more for who had this number before."""
        if self._number != _CROWD:
            _settle(self._file, self._shared, self._number)

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


def prepare(home: Path) -> None:
    """Before the database in it starts: what the dead have begun has ended, for nobody does it any more."""
    _make(home)
    with _mapped(home) as (file, shared):
        for number in range(_WRITERS):
            if not _lock_path(home, number).exists():  # nobody ever had it
                continue
            with _locked(home, number) as free:
                if free:
                    _settle(file, shared, number)


@contextmanager
def joined(home: Path | None) -> Iterator[WriteCounts | None]:
    """The counts of the embedded database that lives there; None if another one does. Raises Misconfigured if those who
    use it count otherwise.
    """
    if home is None or not _is_there(home):
        yield None
        return
    with _mapped(home) as (file, shared), _numbered(home) as number:
        counts = WriteCounts(file, shared, number)
        try:
            yield counts
        finally:
            counts.close()


def _make(home: Path) -> None:
    """With all the room that it will need: a disk that is full later shall still take it that something is deleted."""
    path = home / _NAME
    if path.exists() and path.stat().st_size != _SIZE:
        path.unlink()  # and not another length: whoever still maps it would be killed for it
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(file).st_size != _SIZE:
            os.pwrite(file, bytes(_SIZE), 0)
    finally:
        os.close(file)


def _is_there(home: Path) -> bool:
    try:
        return (home / _NAME).exists()
    except OSError:
        return False


@contextmanager
def _mapped(home: Path) -> Iterator[tuple[int, mmap.mmap]]:
    """The file, and what is in it; what is written to the one is read in the other."""
    file = os.open(home / _NAME, os.O_RDWR)
    try:
        if os.fstat(file).st_size != _SIZE:
            raise Misconfigured(f"another version of agent-memory uses the database in {home}: stop that one first")
        with mmap.mmap(file, _SIZE, access=mmap.ACCESS_READ) as shared:
            yield file, shared
    finally:
        os.close(file)


@contextmanager
def _numbered(home: Path) -> Iterator[int]:
    for number in range(_CROWD + 1, _WRITERS):
        with _locked(home, number) as ours:
            if ours:
                yield number
                return
    with unshared.opened(_lock_path(home, _CROWD)) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield _CROWD


@contextmanager
def _locked(home: Path, number: int) -> Iterator[bool]:
    """Whether that number is ours as long as the context lasts; a process that ends gives it back."""
    with unshared.opened(_lock_path(home, number)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock_path(home: Path, number: int) -> Path:
    return home / f"writer-{number:02}.lock"


def _settle(file: int, shared: mmap.mmap, number: int) -> None:
    counts = np.frombuffer(shared, np.uint64).reshape(_COUNTS, 2, _WRITERS)[:, :, number].copy()
    for count in np.flatnonzero(counts[:, 0] != counts[:, 1]).tolist():
        os.pwrite(file, counts[count, 0].tobytes(), _place(count, number) + _SIDE)


def _count_of(scope: Scope) -> int:
    name = f"{scope.tenant}\0{scope.agent_id}\0{scope.user_id}"
    return 1 + crc32(name.encode()) % (_COUNTS - 1)


def _place(count: int, number: int = 0) -> int:
    return count * 2 * _SIDE + number * _BYTES
