"""The only thread that touches the model. Tasks put turns into its mailbox and hear what becomes of them.

The engine and its model are opened, used and closed here; no lock is exported.
"""

import asyncio
import logging
import queue
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from agent_memory.application.engine import Engine
from agent_memory.application.engine_stats import EngineStats
from agent_memory.domain.errors import AgentMemoryError, GenerationFailed, Unavailable
from agent_memory.domain.kv.block import Namespace
from agent_memory.domain.kv.steps import Event, Failed, Finished, Said, Started
from agent_memory.domain.kv.turn import Turn, TurnId

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
_FLUSH_SECONDS = 1.0  # what writing gets at the end, however short the grace
Deliver = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Submit:
    turn: Turn
    deliver: Deliver


@dataclass(frozen=True, slots=True)
class _Rehearse:
    turn: Turn


@dataclass(frozen=True, slots=True)
class _Cancel:
    turn: TurnId


@dataclass(frozen=True, slots=True)
class _Conclude:
    turn: TurnId
    generated: int


@dataclass(frozen=True, slots=True)
class _Ask:
    """`put` and its answer's way back are the asker's: it never raises."""

    put: Callable[[Engine], None]
    refuse: Callable[[Exception], None]


@dataclass(frozen=True, slots=True)
class _Wake:
    pass


@dataclass(frozen=True, slots=True)
class _Stop:
    grace: float


_Letter = _Submit | _Rehearse | _Cancel | _Conclude | _Ask | _Wake | _Stop


class EngineThread:
    """`open_engine` runs on the thread; it is given a function that wakes the engine when a block has been written."""

    def __init__(self, open_engine: Callable[[Callable[[], None]], Engine]) -> None:
        self._open_engine = open_engine
        self._mailbox: queue.SimpleQueue[_Letter] = queue.SimpleQueue()
        self._listeners: dict[TurnId, Deliver] = {}
        self._engine: Engine | None = None
        self._closed = False
        self._deadline: float | None = None
        self._grace = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._life: Future[None] | None = None

    async def start(self) -> None:
        """Raises what opening the engine raised."""
        loop = asyncio.get_running_loop()
        self._engine = await loop.run_in_executor(self._thread, self._open_engine, self._wake)
        self._life = self._thread.submit(self._live, self._engine)

    def _wake(self) -> None:
        self._mailbox.put(_Wake())

    def stats(self) -> EngineStats:
        return self._engine.stats() if self._engine else EngineStats()

    def namespace(self, tenant: str) -> Namespace:
        """Where the tenant's blocks are found. Only once it has started."""
        assert self._engine is not None, "the engine has not been started"
        return self._engine.namespace(tenant)

    def check(self) -> None:
        """Raises Unavailable when no turn would be taken."""
        if self._closed:
            raise Unavailable("the model takes no more turns: it is shutting down, or has failed")

    async def run(self, turn: Turn) -> AsyncGenerator[Started | Said | Finished, None]:
        """Submit the turn and follow it to its end. Leaving early cancels it. Raises what it failed of."""
        self.check()
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[Event] = asyncio.Queue()

        def deliver(event: Event) -> None:
            with suppress(RuntimeError):  # the loop has gone, and with it whoever listened
                loop.call_soon_threadsafe(heard.put_nowait, event)

        self._mailbox.put(_Submit(turn, deliver))
        self.check()  # it may have ended since, and then nobody opens the mail
        over = False
        try:
            while not over:
                event = await heard.get()
                over = isinstance(event, Finished | Failed)
                if isinstance(event, Failed):
                    raise _public(event.error)
                yield event
        finally:
            if not over:
                self._mailbox.put(_Cancel(turn.id))

    def conclude(self, turn: TurnId, generated: int) -> None:
        """The turn's answer ended with so many tokens, though the model went on: those are kept."""
        self._mailbox.put(_Conclude(turn, generated))

    def rehearse(self, turn: Turn) -> None:
        """Read the turn's tokens when there is nothing else to do."""
        self._mailbox.put(_Rehearse(turn))

    async def ask(self, question: Callable[[Engine], Answer]) -> Answer:
        """What the engine answers between two steps; or raises what it raised. Questions are short: turns wait."""
        self.check()
        answer: Future[Answer] = Future()

        def put(engine: Engine) -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(question(engine))
            except AgentMemoryError as error:
                answer.set_exception(error)
            except Exception as error:  # a question must not end the engine
                log.exception("the engine could not answer")
                answer.set_exception(error)

        self._mailbox.put(_Ask(put, answer.set_exception))
        self.check()  # as with turns
        return await asyncio.wrap_future(answer)

    async def close(self, grace: float = 30.0) -> None:
        """Take no more turns, let the running ones end within `grace` seconds, write every block within as many more,
        end the thread. What is not written by then is logged, and computed anew one day.
        """
        self._closed = True
        self._mailbox.put(_Stop(grace))
        if self._life is not None:
            await asyncio.wrap_future(self._life)
        self._thread.shutdown()

    # --- on the thread ---

    def _live(self, engine: Engine) -> None:
        try:
            while self._deadline is None or (self._listeners and time.monotonic() < self._deadline):
                self._read_mail(engine)
                for event in engine.step():
                    self._deliver(event)
            self._end(engine)
        except Exception as error:  # books that do not balance are our own fault: nobody may wait for them for ever
            # Closed before the mail is looked at: whoever posts from now on sees it, whoever posted before is answered.
            self._closed = True
            log.exception("the engine has ended")
            self._answer_everybody(error)

    def _read_mail(self, engine: Engine) -> None:
        """Take in every letter; wait for one only when there is nothing else to do."""
        if engine.idle:
            timeout = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            with suppress(queue.Empty):
                self._read(engine, self._mailbox.get(timeout=timeout))
        while not self._mailbox.empty():
            self._read(engine, self._mailbox.get())

    def _read(self, engine: Engine, letter: _Letter) -> None:
        match letter:
            case _Submit(turn, deliver):
                self._submit(engine, turn, deliver)
            case _Rehearse(turn):
                if self._deadline is None:
                    engine.rehearse(turn)
            case _Cancel(turn_id):
                self._listeners.pop(turn_id, None)
                engine.cancel(turn_id)
            case _Conclude(turn_id, generated):
                engine.conclude(turn_id, generated)
            case _Ask(put, _):
                put(engine)
                engine.idle = False  # what it struck off is let go in the next step
            case _Wake():
                pass
            case _Stop(grace):
                engine.scheduler.queue.later.clear()
                self._grace = grace
                self._deadline = time.monotonic() + grace

    def _submit(self, engine: Engine, turn: Turn, deliver: Deliver) -> None:
        try:
            engine.submit(turn)
        except AgentMemoryError as error:
            deliver(Failed(turn.id, error))
        else:
            self._listeners[turn.id] = deliver

    def _deliver(self, event: Event) -> None:
        over = isinstance(event, Finished | Failed)
        deliver = self._listeners.pop(event.turn, None) if over else self._listeners.get(event.turn)
        if deliver is not None:
            deliver(event)

    def _answer_everybody(self, error: Exception) -> None:
        while not self._mailbox.empty():
            letter = self._mailbox.get()
            if isinstance(letter, _Submit):
                letter.deliver(Failed(letter.turn.id, error))
            elif isinstance(letter, _Ask):
                letter.refuse(_public(error))
        for turn_id in list(self._listeners):
            self._deliver(Failed(turn_id, error))

    def _end(self, engine: Engine) -> None:
        """Put away what the last turns computed, and everything that waits to be written."""
        for turn_id in list(self._listeners):
            self._deliver(Failed(turn_id, Unavailable("the server is shutting down")))
            engine.cancel(turn_id)
        until = time.monotonic() + max(self._grace, _FLUSH_SECONDS)
        engine.step()
        while not engine.idle and time.monotonic() < until:
            engine.step()
        engine.close(max(_FLUSH_SECONDS, until - time.monotonic()))


def _public(error: Exception) -> AgentMemoryError:
    if isinstance(error, AgentMemoryError):
        return error
    failed = GenerationFailed(f"the model failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
