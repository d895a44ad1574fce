"""File descriptors of this process alone: a child that it forks has none of them.

A lock is held, and a pipe stays open, until the last descriptor of it is closed; a forked child would hold both for as
long as it lives. Programs that are started, instead, inherit nothing but what they are handed.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_ours: "set[Descriptor]" = set()
# Around each change: no child is forked between a descriptor's opening and its being known.
_changing = threading.RLock()


class Descriptor:
    """Opened until it is closed here. In a forked child it is closed already; closing may be repeated."""

    def __init__(self, number: int) -> None:
        """Whoever makes one holds `_changing`."""
        self._number = number
        _ours.add(self)

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        with _changing:
            if self in _ours:
                _ours.remove(self)
                os.close(self._number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def opened(path: Path) -> Descriptor:
    """To read and write; made, for this user only, if it is not there."""
    with _changing:
        return Descriptor(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def pipe() -> tuple[Descriptor, Descriptor]:
    """Its end to read from, and its end to write to."""
    with _changing:
        read, write = os.pipe()
        return Descriptor(read), Descriptor(write)


def _close_in_child() -> None:
    for descriptor in _ours:
        with suppress(OSError):  # somebody was there before us
            os.close(descriptor.fileno())
    _ours.clear()
    _changing.release()


os.register_at_fork(before=_changing.acquire, after_in_parent=_changing.release, after_in_child=_close_in_child)
