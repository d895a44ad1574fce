"""Reads blocks of a slower store before they are asked for: one thread, in the order in which they will be.

Knows nothing of turns. What is no longer wanted is let go, and what was dropped does not come back.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence

from agent_memory.domain.kv.block import PartKey
from agent_memory.ports.kv import BlockPayload, BlockStore

log = logging.getLogger(__name__)


class ReadAhead:
    """`budget` bounds the bytes that lie ready: once they reach it, reading waits."""

    def __init__(self, store: BlockStore, budget: int) -> None:
        self._store = store
        self._budget = budget
        self._changed = threading.Condition()  # guards everything below
        self._wanted: set[PartKey] = set()
        self._unread: deque[PartKey] = deque()
        self._ready: dict[PartKey, BlockPayload] = {}
        self._nbytes = 0
        self._reading: PartKey | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="block-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def nbytes(self) -> int:
        """What lies ready."""
        return self._nbytes

    def want(self, keys: Sequence[PartKey]) -> None:
        """These are to be read, the first of them first; everything else is let go."""
        with self._changed:
            self._wanted = set(keys)
            for key in self._ready.keys() - self._wanted:
                self._let_go(key)
            self._unread = deque(key for key in dict.fromkeys(keys) if key not in self._ready and key != self._reading)
            self._changed.notify_all()

    def take(self, key: PartKey) -> BlockPayload | None:
        """The part, where it lies ready; waits for it where it is being read just now. None where it has yet to be
        read, or could not be: then it is no longer wanted here.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._reading != key)
            return self._drop(key)

    def drop(self, key: PartKey) -> None:
        """It is no longer to be found: let go of it, also if it is being read just now."""
        with self._changed:
            self._drop(key)

    def _drop(self, key: PartKey) -> BlockPayload | None:
        if key not in self._wanted:
            return None
        self._wanted.discard(key)
        if key in self._unread:
            self._unread.remove(key)
        return self._let_go(key)

    def _let_go(self, key: PartKey) -> BlockPayload | None:
        payload = self._ready.pop(key, None)
        if payload is not None:
            self._nbytes -= payload.nbytes
            self._changed.notify_all()
        return payload

    def drain(self) -> None:
        """Read what there is room for on the calling thread: for a reader that was not started."""
        while self._has_work():
            self._read()

    def close(self) -> None:
        """It reads no more. A disk that hangs is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- on the thread ---

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._has_work())
                if self._closed:
                    return
            self._read()

    def _has_work(self) -> bool:
        return bool(self._unread) and self._nbytes < self._budget

    def _read(self) -> None:
        with self._changed:
            if not self._unread:
                return  # it was taken in the meantime
            key = self._reading = self._unread.popleft()
        payload = None
        try:
            payload = self._store.get(key)
        except Exception:  # whoever asks for the part reads it again, and meets the fault where it can be answered
            log.exception("block %s could not be read ahead", key.hash[:16])
        with self._changed:
            self._reading = None
            if payload is not None and key in self._wanted:
                self._ready[key] = payload
                self._nbytes += payload.nbytes
            self._changed.notify_all()
