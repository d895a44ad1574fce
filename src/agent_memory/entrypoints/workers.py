"""Several processes that serve memories on one port: this one owns the socket and the embedded database, starts the
others, starts again what dies, and ends them in order.

A worker hears its orders from its standard input: what it is to do, and by its closing that it is to end, whether
this process was told so or is gone. Signals that reach a whole group mean nothing to it.
"""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec
import structlog

from agent_memory.bootstrap import METRICS_FOLDER, forget_worker, shared_database
from agent_memory.domain.errors import Misconfigured, Unavailable
from agent_memory.entrypoints.address import new_token
from agent_memory.entrypoints.serving import bound
from agent_memory.settings import Settings

_log = structlog.get_logger(__name__)
_QUICK_DEATH = 5.0  # seconds: a worker that lives shorter than this ...
_MOST_QUICK_DEATHS = 5  # ... so many times in a row, of all workers together, ends the server
_MARGIN = 5.0  # seconds beyond the grace of requests that a worker has for closing
REFUSED = 2  # a worker's exit code when it has said why it cannot serve


class Orders(msgspec.Struct, frozen=True):
    """What a worker needs to know: one line of JSON."""

    settings: Settings
    conninfo: str | None
    token: str
    socket: int


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Until a signal ends it. `announce` is called with what a worker has to say once all of them listen."""
    with (
        _Signals() as signals,
        bound(settings.server) as sock,
        shared_database(settings) as conninfo,
        tempfile.TemporaryDirectory(prefix="agent-memory-") as metrics,
    ):
        _Crew(Orders(settings, conninfo, new_token(), sock.fileno()), Path(metrics), signals, announce).run()


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    started: float = field(default_factory=time.monotonic)
    said: bytes = b""  # the announcement, or why it cannot serve
    ready: bool = False


class _Crew:
    def __init__(self, orders: Orders, metrics: Path, signals: "_Signals", announce: Callable[[str], None]) -> None:
        self._orders = orders
        self._metrics = metrics
        self._signals = signals
        self._announce = announce
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.wake, selectors.EVENT_READ)
        self._workers: list[_Worker] = []
        self._announced = False
        self._quick_deaths = 0

    def run(self) -> None:
        self._signals.at_once = self._kill
        try:
            for _ in range(self._orders.settings.server.workers):
                self._start()
            while not self._signals.asked:
                self._listen()
                self._replace_dead()
        finally:
            self._end()

    def _start(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent_memory.entrypoints.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._orders.socket],
            env={**os.environ, METRICS_FOLDER: str(self._metrics)},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it is dead already: its end is noticed like any other
            process.stdin.write(msgspec.json.encode(self._orders) + b"\n")
            process.stdin.flush()
        worker = _Worker(process)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)

    def _listen(self) -> None:
        for key, _ in self._selector.select():
            worker = key.data
            if worker is None:
                self._signals.drain()
            elif heard := os.read(key.fd, 65_536):
                worker.said += heard
            else:
                self._selector.unregister(key.fileobj)
                worker.ready = True
                self._announce_once(worker)

    def _announce_once(self, worker: _Worker) -> None:
        if not self._announced and all(each.ready and each.process.poll() is None for each in self._workers):
            self._announced = True
            self._announce(worker.said.decode())

    def _replace_dead(self) -> None:
        for worker in [each for each in self._workers if each.process.poll() is not None]:
            self._workers.remove(worker)
            self._bury(worker)
            code = worker.process.returncode
            if code == REFUSED and not self._announced:
                raise Misconfigured(worker.said.decode())
            quick = time.monotonic() - worker.started < _QUICK_DEATH
            self._quick_deaths = self._quick_deaths + 1 if quick else 0
            _log.error("a worker has died", pid=worker.process.pid, exit_code=code)
            if self._quick_deaths >= _MOST_QUICK_DEATHS:
                raise Unavailable(f"{self._quick_deaths} workers in a row died as soon as they were started")
            self._start()

    def _bury(self, worker: _Worker) -> None:
        assert worker.process.stdin is not None
        assert worker.process.stdout is not None
        with suppress(KeyError):
            self._selector.unregister(worker.process.stdout)
        with worker.process.stdout as rest:
            worker.said += rest.read()
        with suppress(BrokenPipeError):
            worker.process.stdin.close()
        forget_worker(worker.process.pid, self._metrics)

    def _end(self) -> None:
        deadline = time.monotonic() + self._orders.settings.server.shutdown_seconds + _MARGIN
        for worker in self._workers:
            assert worker.process.stdin is not None
            with suppress(BrokenPipeError):
                worker.process.stdin.close()
        for worker in self._workers:
            try:
                worker.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            self._bury(worker)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()


class _Signals:
    """The first asks for an end in order; the second ends this process, and by that the others, at once."""

    def __init__(self) -> None:
        self.asked = False
        self.at_once: Callable[[], None] = lambda: None
        self.wake, self._waker = os.pipe()

    def __enter__(self) -> Self:
        os.set_blocking(self.wake, False)
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)

    def drain(self) -> None:
        os.read(self.wake, 4096)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.asked:
            self.at_once()
            os._exit(128 + number)
        self.asked = True
