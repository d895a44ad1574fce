"""Writes blocks to a slower store off the token path: one thread, in order, with reports of what became of each.

Knows nothing of turns. What is queued can be read back until it is written.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.pool import PoolExhausted
from agent_memory.domain.kv.wear import WritesSpent
from agent_memory.ports.kv import BlockPayload, BlockStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    key: PartKey
    evicted: tuple[PartKey, ...]


@dataclass(frozen=True, slots=True)
class NotWritten:
    key: PartKey


@dataclass(frozen=True, slots=True)
class Withheld:
    """No more may be written today."""

    key: PartKey


Report = Written | NotWritten | Withheld


@dataclass(frozen=True, slots=True)
class _Write:
    block: CacheBlock
    part: Part
    payload: BlockPayload
    root: BlockHash


@dataclass(frozen=True, slots=True)
class _Touch:
    key: PartKey


@dataclass(frozen=True, slots=True)
class _Demote:
    key: PartKey


_Job = _Write | _Touch | _Demote | PartKey | None  # write it · it was used · it goes first · delete it · end


class WriteBehind:
    """`wake` is called, from the writing thread, whenever there is a report."""

    def __init__(self, store: BlockStore, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._in_flight: dict[PartKey, BlockPayload] = {}
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="block-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pending(self) -> int:
        return len(self._in_flight)

    def put(self, block: CacheBlock, part: Part, payload: BlockPayload, root: BlockHash) -> None:
        """`payload` must be plain bytes: the writer's thread must not touch a tensor."""
        self._in_flight[PartKey(block.hash, part)] = payload
        self._jobs.put(_Write(block, part, payload, root))

    def get(self, key: PartKey) -> BlockPayload | None:
        return self._in_flight.get(key)

    def delete(self, key: PartKey) -> None:
        """After everything that was put before it."""
        self._jobs.put(key)

    def touch(self, key: PartKey) -> None:
        """After everything that was put before it."""
        self._jobs.put(_Touch(key))

    def demote(self, key: PartKey) -> None:
        """After everything that was put before it."""
        self._jobs.put(_Demote(key))

    def reports(self) -> list[Report]:
        """What happened since the last call."""
        news = []
        while not self._reports.empty():
            report = self._reports.get()
            self._in_flight.pop(report.key, None)
            news.append(report)
        return news

    def drain(self) -> None:
        """Do what is queued on the calling thread: for a writer that was not started."""
        while not self._jobs.empty():
            self._do(self._jobs.get())

    def close(self, timeout: float | None = None) -> None:
        """Write everything that is queued, then end; a disk that hangs is waited for only `timeout` seconds."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(timeout)
        else:
            self.drain()

    def _work(self) -> None:
        while self._do(self._jobs.get()):
            pass

    def _do(self, job: _Job) -> bool:
        """Whether there is more to come."""
        if isinstance(job, _Write):
            self._reports.put(self._write(job))
            self._wake()
        elif job is not None:
            self._tend(job)
        return job is not None

    def _write(self, job: _Write) -> Report:
        key = PartKey(job.block.hash, job.part)
        try:
            evicted = self._store.put(job.block, job.part, job.payload, job.root)
        except WritesSpent:
            return Withheld(key)
        except (OSError, PoolExhausted) as error:
            if not self._failing:
                log.warning("block %s was not saved: %s; until one is, more are only counted", key.hash[:16], error)
            self._failing = True
            return NotWritten(key)
        except Exception:  # the writer lives on: whatever was promised after this must still be written
            log.exception("block %s was not saved", key.hash[:16])
            return NotWritten(key)
        self._failing = False
        return Written(key, tuple(evicted))

    def _tend(self, job: _Touch | _Demote | PartKey) -> None:
        try:
            if isinstance(job, _Touch):
                self._store.touch(job.key)
            elif isinstance(job, _Demote):
                self._store.demote(job.key)
            else:
                self._store.delete(job)
        except OSError as error:
            log.warning("a block was not touched or deleted: %s", error)
        except Exception:  # as above
            log.exception("a block was not touched or deleted")
