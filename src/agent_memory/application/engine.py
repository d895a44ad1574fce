"""plan -> run -> absorb: the scheduler decides, the runtime and the tiers do it, the scheduler takes the result back.

Runs on one thread, and knows nothing of any other. Deadlines are times of `time.monotonic`.
"""

import logging
import time
from dataclasses import replace
from typing import assert_never

from agent_memory.application.engine_stats import EngineStats
from agent_memory.application.holdings import Holdings
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.whereabouts import Whereabouts
from agent_memory.application.write_behind import NotWritten, Withheld, Written
from agent_memory.domain.errors import CorruptBlock, Unavailable
from agent_memory.domain.kv.block import Namespace, Part, PartKey
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import (
    Decode,
    Event,
    Idle,
    Kept,
    Lost,
    Outcome,
    Prefill,
    Read,
    Restore,
    Restored,
    Retire,
    Rewind,
    Sampled,
    Save,
    Step,
)
from agent_memory.domain.kv.turn import Turn, TurnId
from agent_memory.ports.agents import AgentStore, Origin
from agent_memory.ports.kv import ModelRuntime, Piece

log = logging.getLogger(__name__)


class Engine:
    """With a place for `agents`, it keeps the book of what they hold."""

    def __init__(
        self, runtime: ModelRuntime, tiers: TieredBlocks, scheduler: Scheduler, agents: AgentStore | None = None
    ) -> None:
        self._runtime = runtime
        self._tiers = tiers
        self.scheduler = scheduler
        self._ledger = scheduler.ledger
        self._totals = EngineStats()
        self.idle = False
        self._ledger.know(tiers.known())
        self._next_up: tuple[TurnId, ...] = ()
        self._spoke_at = 0.0  # when a token was last said, in seconds of perf_counter
        self.holdings = None if agents is None else self._holdings(agents)

    def _holdings(self, agents: AgentStore) -> Holdings:
        blocks, running = Whereabouts(self._ledger, self._tiers), self.scheduler.running
        origin = Origin(self._runtime.fingerprint, self._runtime.spec.identity)
        return Holdings(blocks, agents, origin, running=running, waiting=lambda: self.scheduler.queue.waiting)

    def agents(self) -> Holdings:
        """Raises Unavailable when no book is kept."""
        if self.holdings is None:
            raise Unavailable("this engine keeps no book of agents")
        return self.holdings

    def namespace(self, tenant: str) -> Namespace:
        return Namespace(tenant, self._runtime.fingerprint, self._runtime.spec.identity)

    def submit(self, turn: Turn) -> None:
        if self.holdings is not None and turn.agent is not None:
            self.holdings.end_if_over(turn.agent)  # and begins anew
        self.scheduler.submit(turn)
        self.idle = False

    def rehearse(self, turn: Turn) -> None:
        self.scheduler.rehearse(turn)
        self.idle = False

    def cancel(self, turn: TurnId) -> list[Event]:
        self.idle = False
        return self.scheduler.cancel(turn)

    def conclude(self, turn: TurnId, generated: int) -> None:
        self.idle = False
        self.scheduler.conclude(turn, generated)

    def step(self) -> list[Event]:
        """One beat. Never raises for what a turn did: it fails that turn, and lives on."""
        self._hear()
        late = self.scheduler.expire(time.monotonic())
        step = self.scheduler.plan()
        self.idle = isinstance(step, Idle)
        try:
            events = self.scheduler.absorb(step, self._run(step))
            if isinstance(step, Retire):
                self._retired(step.turn)
        except Exception as error:  # whatever a model or a store may raise ends its turns, not the engine
            log.exception("a %s step failed", type(step).__name__)
            events = self._fail(step, error)
        self._clear()
        self._look_ahead()
        return late + events

    def _run(self, step: Step) -> Outcome:
        match step:
            case Restore():
                return self._restore(step)
            case Prefill():
                return self._prefill(step)
            case Decode():
                return self._decode(step)
            case Save():
                return self._save(step)
            case Rewind(turn):
                self._runtime.rewind(turn.id)
                return None
            case Retire(turn, park):
                if not park:
                    self._runtime.close(turn.id)
                return None
            case Idle():
                return None
            case _:
                assert_never(step)

    def _restore(self, step: Restore) -> Outcome:
        started = time.perf_counter()
        if step.parked is not None:
            self._runtime.resume(step.parked, step.turn.id, step.turn.sampling, step.length)
            return self._begun(step, started, ())
        found, cold, lost = {}, [], []
        for key in step.keys:
            payload, hot = self._tiers.get(key)
            if payload is None:
                lost.append(key)
                continue
            found[key] = payload
            if not hot:
                cold.append(key)
        if lost:  # all of them at once: what is only known to be there is not written anew
            self._count(lost_blocks_total=len(lost))
            return Lost(tuple(lost))
        pieces = [
            Piece(
                block,
                min(block.end, step.length) - block.start,
                found[PartKey(block.hash, Part.LASTING)],
                found.get(PartKey(block.hash, Part.LOCAL)),
            )
            for block in step.blocks
        ]
        try:
            self._runtime.open(step.turn.id, step.turn.sampling, pieces)
        except CorruptBlock as error:
            log.warning("%d blocks do not fit this model and are forgotten: %s", len(pieces), error)
            self._count(lost_blocks_total=len(pieces))
            return Lost(tuple(step.keys))
        begun = self._begun(step, started, tuple((key, found[key].nbytes) for key in cold))
        for key in cold:  # nothing has failed: nothing is held that will not be booked
            self._tiers.hold(key, found[key])
        return begun

    def _begun(self, step: Restore, started: float, promoted: tuple[tuple[PartKey, int], ...]) -> Restored:
        done = self._advance(step)
        self._count(restore_seconds_total=time.perf_counter() - started)
        if step.turn.cached_tokens is None and not step.turn.only_read:
            self._count(prompt_tokens_total=step.turn.prompt_tokens, cached_tokens_total=step.length)
        return Restored(promoted, done)

    def _prefill(self, step: Prefill) -> Outcome:
        started = time.perf_counter()
        if not step.begun:
            self._runtime.prefill(step.turn.id, step.turn.tokens[step.start : step.stop])
        done = self._advance(step)
        self._count(prefill_seconds_total=time.perf_counter() - started)
        return Read(done)

    def _advance(self, step: Restore | Prefill) -> bool:
        """Whoever speaks has waited since the last token, for whatever was done since."""
        if step.seconds is None:
            return self._runtime.advance(step.turn.id)
        left = step.seconds - (time.perf_counter() - self._spoke_at)
        return self._runtime.advance(step.turn.id, max(0.0, left))

    def _decode(self, step: Decode) -> Outcome:
        started = time.perf_counter()
        tokens = self._runtime.decode([(turn.id, turn.tokens[turn.position]) for turn in step.turns])
        self._spoke_at = time.perf_counter()
        self._count(decode_seconds_total=self._spoke_at - started, generated_tokens_total=len(tokens))
        wanted = (turn.id for turn in step.turns if turn.sampling.logprobs is not None)
        return Sampled(tuple(tokens), {turn: self._runtime.logprobs(turn) for turn in wanted})

    def _save(self, step: Save) -> Outcome:
        taken = []
        for block in step.touched:
            within = {Part.LASTING: step.blocks, Part.LOCAL: step.local}
            parts = [part for part, blocks in within.items() if block in blocks]
            taken += [(block, *read) for read in self._runtime.read(step.turn.id, block, parts).items()]
        for block, part, payload in taken:  # all of it could be taken: nothing is held that will not be booked
            key = PartKey(block.hash, part)
            if key not in self._ledger.cold:
                self._tiers.write(block, part, payload, step.turn.root)
            self._tiers.hold(key, payload)
        return Kept(tuple((PartKey(block.hash, part), payload.nbytes) for block, part, payload in taken))

    def _retired(self, turn: Turn) -> None:
        if turn.stored:
            self._write_again(turn)
        if turn.finish and self.holdings is not None:
            self.holdings.heard(turn)

    def _write_again(self, turn: Turn) -> None:
        """What the slower tier could not take of this conversation before: it has come back to life, and is needed."""
        keys = ((block, PartKey(block.hash, part)) for block in turn.chain for part in Part)
        for block, key in [each for each in keys if each[1] in self._ledger.unwritten]:
            payload, _ = self._tiers.get(key)
            if payload is not None:
                self._ledger.unwritten.discard(key)
                self._tiers.write(block, key.part, payload, turn.root)

    def _fail(self, step: Step, error: Exception) -> list[Event]:
        match step:
            case Decode(turns):
                failed = turns
            case Restore() | Prefill() | Rewind() | Save() | Retire():
                failed = (step.turn,)
            case Idle():
                failed = ()
            case _:
                assert_never(step)
        for turn in failed:
            self._close(turn.id)
        if isinstance(step, Restore) and step.parked is not None:
            self._close(step.parked)  # whether it was taken over or not, nobody else comes for it
        self._count(failed_turns_total=len(failed))
        return self.scheduler.fail(failed, error)

    def _close(self, turn: TurnId) -> None:
        try:
            self._runtime.close(turn)
        except Exception:  # a device that is lost must not take the other turns along
            log.exception("the cache of a turn could not be closed")

    def _hear(self) -> None:
        """Enter what the writer reports into the books."""
        for report in self._tiers.reports():
            match report:
                case Written(key, evicted):
                    self._count(blocks_written_total=1)
                    self._ledger.saved(key)
                    for gone in evicted:
                        self._ledger.gone(gone)
                        self._tiers.gone(gone)
                case NotWritten(key):
                    self._count(write_errors_total=1)
                    self._ledger.unsaved(key)
                case Withheld(key):
                    self._count(writes_withheld_total=1)
                    self._ledger.unsaved(key)

    def _clear(self) -> None:
        """Let go of the bytes that the books have struck off."""
        for key in self._ledger.evicted:
            if key not in self._ledger.pool:
                self._tiers.evict(key)
        for key in self._ledger.forgotten:
            if key not in self._ledger.pool:
                self._tiers.delete(key)
        self._tiers.touch(self._ledger.used)
        for turn in self._ledger.towed:
            self._close(turn)
        self._ledger.towed.clear()
        self._tiers.demote(self._ledger.passed)
        self._ledger.evicted.clear()
        self._ledger.forgotten.clear()
        self._ledger.used.clear()
        self._ledger.passed.clear()

    def _look_ahead(self) -> None:
        """What the next turns need of the slower tier is read while others run."""
        next_up = tuple(turn.id for turn in self.scheduler.next_up())
        if next_up != self._next_up:
            self._next_up = next_up
            self._tiers.prefetch(self.scheduler.upcoming())

    def _count(self, **more: float) -> None:
        totals = {name: getattr(self._totals, name) + value for name, value in more.items()}
        self._totals = replace(self._totals, **totals)

    def stats(self) -> EngineStats:
        """Safe to call from another thread: every field is one read."""
        pool, written = self._ledger.pool, self._tiers.written
        return replace(
            self._totals,
            turns_running=len(self.scheduler.running),
            turns_waiting=len(self.scheduler.queue.waiting),
            turns_parked=len(self._ledger.parking),
            blocks_known=len(self._ledger.index),
            cache_bytes=pool.used,
            cache_budget_bytes=pool.capacity,
            pending_writes=self._tiers.pending,
            bytes_written_today=written.today,
            bytes_written_total=written.total,
            evictions_total=pool.evictions,
        )

    def check(self) -> None:
        """Prove that the books balance, and that memory holds what they say."""
        self.scheduler.check()
        held, booked = self._tiers.held, frozenset(self._ledger.pool)
        assert held == booked, f"{len(held - booked)} payloads without a book entry, {len(booked - held)} without bytes"

    def close(self, timeout: float | None = None) -> None:
        """Write what waits to be written, for at most `timeout` seconds."""
        self._tiers.close(timeout)
        self._hear()
        if self.holdings is not None:
            self.holdings.close()
        if self._tiers.pending:
            told = "%d block parts were not written: the disk did not take them within %g s; they will be computed anew"
            log.error(told, self._tiers.pending, timeout)
