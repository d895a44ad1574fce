"""What the engine does next. Moves the book of turns; does no I/O and touches no tensor.

`plan()` names one step, the engine runs it, `absorb()` or `fail()` enters what came of it and returns the news.
Where blocks live is the ledger's.
"""

from agent_memory.domain.errors import DeadlineExceeded, InvalidInput, Overloaded
from agent_memory.domain.kv.beginning import Beginning
from agent_memory.domain.kv.block import CacheBlock, PartKey, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.parking import Parked
from agent_memory.domain.kv.pool import PoolExhausted
from agent_memory.domain.kv.prefix import PrefixMatch
from agent_memory.domain.kv.queue import Queue, leads_to
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.steps import (
    Decode,
    Event,
    Failed,
    Finished,
    Idle,
    Kept,
    Logprobs,
    Lost,
    Outcome,
    Prefill,
    Read,
    Restore,
    Restored,
    Retire,
    Rewind,
    Said,
    Sampled,
    Save,
    Started,
    Step,
)
from agent_memory.domain.kv.tips import Tips
from agent_memory.domain.kv.turn import Phase, Turn, TurnId


class Scheduler:
    """`max_turns` run at once, `max_waiting` queue behind them. Prefill chunks end at multiples of `chunk` tokens, so
    that a prefix is computed in the same pieces whoever reads it; while others speak, a piece is put down after
    `max_stall` seconds, and taken up again when each has said a token. What is only read, `later`, runs when nobody
    else wants to, and gives way to whoever comes, unless it is the beginning of what they bring.
    """

    def __init__(
        self,
        spec: CacheSpec,
        ledger: Ledger,
        *,
        max_turns: int = 2,
        max_waiting: int = 64,
        chunk: int = 1024,
        max_stall: float = 0.5,
    ) -> None:
        self.spec, self.ledger, self.tips = spec, ledger, Tips(spec)
        # A state is there only where a piece ends; before a window's end, each block has to keep both.
        self.chunk = spec.block_tokens if spec.exact and spec.windowed else chunk
        self.max_turns, self.max_stall = max_turns, max_stall
        self.queue, self.beginning = Queue(max_waiting), Beginning(spec, ledger, self.tips)
        self.running: dict[TurnId, Turn] = {}
        self._decoded_last = False
        self._pieces = 0

    # --- the queue ---

    def submit(self, turn: Turn) -> None:
        """Raises InvalidInput when it can never fit, Overloaded when the queue is full."""
        needs = self._needs(turn)
        if needs > self.ledger.pool.capacity:
            raise InvalidInput(
                "messages",
                f"{turn.prompt_tokens} prompt tokens and max_tokens {turn.max_tokens} need "
                f"{needs >> 20} MB of KV cache, the budget is {self.ledger.pool.capacity >> 20} MB",
            )
        if not self._has_room(turn):
            raise Overloaded(
                f"{turn.prompt_tokens} prompt tokens and max_tokens {turn.max_tokens} need {needs >> 20} MB of KV "
                f"cache, of {self.ledger.pool.capacity >> 20} MB; the pinned agents leave too little",
                retry_after=60,
            )
        self.queue.join(turn)
        for other in self.running.values():
            if other.only_read and other.finish is None and not leads_to(other, turn):
                other.put_away()

    def rehearse(self, turn: Turn) -> None:
        """Read what a turn to come will begin with, when nobody else wants to run. What is known, or does not fit, is
        forgotten at once, and so is the oldest of too many.
        """
        match = self.beginning.match(turn)
        if match.length < turn.matches_to and self._has_room(turn, match):
            self.queue.later.append(turn)

    def cancel(self, turn_id: TurnId) -> list[Event]:
        """What of the prompt is computed is kept all the same, as far as it can be restored: with a window, to the
        last checkpoint. May be repeated, and may come too late.
        """
        turn = self.running.get(turn_id)
        if turn is not None:
            if turn.finish is None:
                turn.end("cancelled")
                return [Finished(turn_id, "cancelled")]
            return []
        return [Finished(turn_id, "cancelled")] if self.queue.leave(turn_id) else []

    def conclude(self, turn_id: TurnId, generated: int) -> None:
        """Its answer was complete after so many tokens, by its text: it is kept so far, as if it had ended there. May
        come too late.
        """
        turn = self.running.get(turn_id)
        if turn is not None and turn.speaking:
            turn.shorten(generated)
            turn.end("stop")

    def expire(self, now: float) -> list[Event]:
        """End every turn whose deadline has passed."""
        late = [turn for turn in (*self.running.values(), *self.queue.waiting) if turn.deadline and now > turn.deadline]
        return [Failed(turn.id, DeadlineExceeded()) for turn in late if self.cancel(turn.id)]

    def preempt(self, turn_id: TurnId) -> None:
        """Put a running turn's cache away and queue it again, first; it resumes where it stopped."""
        turn = self.running.get(turn_id)
        if turn is not None and turn.finish is None:
            turn.put_away()

    def foresee(self, turn: Turn) -> Started:
        """What a turn would hear if it began now. It is not submitted, and nothing changes."""
        step = self.beginning.restore(turn, self.beginning.match(turn))
        slow = {key.hash for key in step.keys if key not in self.ledger.pool}
        return Started(turn.id, step.length, step.tokens_of(slow), step.known)

    # --- plan ---

    def plan(self) -> Step:
        return self._owed() or self._put_away() or self._admit() or self._compute() or Idle()

    def _owed(self) -> Step | None:
        """After every stretch of reading a token of each who speaks, before anything else is done. Whoever has just
        read its prompt is kept first: its next token changes what it has read.
        """
        owed = () if self._decoded_last else tuple(turn for turn in self._decoding() if self._unsaved(turn) is None)
        return Decode(owed) if owed else None

    def _unsaved(self, turn: Turn) -> Save | None:
        blocks = turn.unsaved(self.spec.block_tokens, partial=self.tips.stands_at_one(turn))
        local = self.tips.local(turn, blocks)
        return Save(turn, tuple(blocks), local) if blocks or local else None

    def _put_away(self) -> Step | None:
        for turn in self.running.values():
            unsaved = self._unsaved(turn)
            if unsaved is not None:
                return unsaved
            if turn.phase is Phase.SPOKEN:
                return Rewind(turn)
            if turn.phase is Phase.ENDING:
                done = turn.finish in ("stop", "length") and turn.kept == turn.position
                return Retire(turn, park=turn.stored and done)
        return None

    def _admit(self) -> Step | None:
        for turn in self.running.values():
            if turn.phase is Phase.RESTORING:
                return self.beginning.restore(turn, self.beginning.match(turn), self._patience)
        if len(self.running) >= self.max_turns:
            return None
        running = self.running.values()
        ready = next((turn for turn in self._fair() if not self.beginning.gains_by_waiting(turn, running)), None)
        if ready is not None:
            return self._begin(self.queue.before(ready))
        quiet = not self.running and not self.queue.waiting
        return self._begin(self.queue.later[0]) if quiet and self.queue.later else None

    def _begin(self, turn: Turn) -> Step | None:
        match = self.beginning.match(turn)
        parked = self.beginning.parked(turn, match)
        try:
            self.ledger.reserve(turn.id, self._needs(turn) - self.beginning.pinned(turn, match), instead_of=parked)
        except PoolExhausted:
            return None  # room comes with the next turn that retires, or the next block that is saved
        self.queue.begin(turn)
        self.running[turn.id] = turn
        turn.phase = Phase.RESTORING
        return self.beginning.restore(turn, match, self._patience, parked)

    def _fair(self) -> list[Turn]:
        return self.queue.fair(self.running.values())

    def next_up(self) -> list[Turn]:
        """The turns that are likely to begin next, as many as run at once."""
        return self._fair()[: self.max_turns]

    def upcoming(self) -> list[PartKey]:
        """The parts that they will be restored from, as far as one can tell now, and that are not in memory."""
        return self.beginning.missing(self.next_up())

    def _compute(self) -> Step | None:
        reading = self._next_reader()
        if reading is not None:
            begun = reading.in_hand is not None
            stop = reading.in_hand
            if stop is None:
                stop = reading.next_stop(self.chunk, reading.reads_to, self.tips.halts(reading))
            return Prefill(reading, reading.position, stop, begun, self._patience)
        decoding = self._decoding()
        return Decode(decoding) if decoding else None

    def _decoding(self) -> tuple[Turn, ...]:
        return tuple(turn for turn in self.running.values() if turn.phase is Phase.DECODING)

    @property
    def _patience(self) -> float | None:
        return self.max_stall if self._decoding() else None

    def _next_reader(self) -> Turn | None:
        """An answer that is read again comes first; then by turns whoever came first and whoever has least to read, so
        that neither a long prompt nor a short one is kept waiting by the other.
        """
        readers = [turn for turn in self.running.values() if turn.phase in (Phase.PREFILLING, Phase.REREADING)]
        again = (turn for turn in readers if turn.phase is Phase.REREADING)
        first = next(again, None) or next(iter(readers), None)
        if first is None or first.phase is Phase.REREADING or self._pieces % 2:
            return first
        return min(readers, key=lambda turn: turn.reads_to - turn.position)

    # --- absorb ---

    def absorb(self, step: Step, outcome: Outcome) -> list[Event]:
        match step, outcome:
            case Restore(), Lost(keys):
                for key in keys:
                    self.ledger.strike(key)
                return []
            case Restore(), Restored():
                return self._restored(step, outcome)
            case Prefill(), Read(done):
                self._prefilled(step, done=done)
                return []
            case Rewind(turn), _:
                turn.position = turn.prompt_tokens - 1
                turn.phase = Phase.REREADING  # the prompt's last token at least
                return []
            case Decode(), Sampled():
                return self._spoken(step, outcome)
            case Save(), Kept(sizes):
                self._kept(step, dict(sizes))
                return []
            case Retire(), _:
                self._retire(step)
                return []
            case Idle(), _:
                return []
        raise AssertionError(f"{outcome} is no outcome of {step}")

    def _restored(self, step: Restore, outcome: Restored) -> list[Event]:
        self.ledger.promote(outcome.promoted)
        self.ledger.come_back(step.blocks, step.local)
        turn = step.turn
        turn.stated = step.length
        turn.phase = Phase.PREFILLING
        turn.position = step.length
        if outcome.done:
            self._read(turn, step.length)
        else:
            turn.in_hand = step.length
            self._decoded_last = False
        turn.chain = [block for block in step.blocks if block.end <= step.length and self._whole(block)]
        if turn.cached_tokens is not None or turn.only_read:
            return []  # it was preempted, and the client has heard already; or nobody listens
        turn.cached_tokens = step.length
        slow = {key.hash for key, _ in outcome.promoted}
        return [Started(turn.id, step.length, step.tokens_of(slow), step.known)]

    def _whole(self, block: CacheBlock) -> bool:
        return len(block) == self.spec.block_tokens

    def _prefilled(self, step: Prefill, *, done: bool) -> None:
        self._decoded_last = False
        if done:
            self._pieces += 1
            step.turn.in_hand = None
            self._read(step.turn, step.stop)
        else:
            step.turn.in_hand = step.stop

    def _read(self, turn: Turn, position: int) -> None:
        turn.position = position
        if turn.phase is Phase.PREFILLING and position == turn.reads_to:
            if turn.only_read:
                turn.end("stop")
            else:
                turn.phase = Phase.DECODING
        elif turn.phase is Phase.REREADING and position == turn.rereads:
            turn.phase = Phase.ENDING

    def _spoken(self, step: Decode, outcome: Sampled) -> list[Event]:
        self._decoded_last = True
        events = []
        for turn, token in zip(step.turns, outcome.tokens, strict=True):
            turn.position += 1
            events += self._said(turn, token, outcome.logprobs.get(turn.id))
        return events

    def _said(self, turn: Turn, token: int, logprobs: Logprobs | None) -> list[Event]:
        if turn.repeating:
            return []
        turn.take(token)
        said: list[Event] = [Said(turn.id, token, logprobs)]
        return [*said, Finished(turn.id, turn.finish)] if turn.finish else said

    def _kept(self, step: Save, sizes: dict[PartKey, int]) -> None:
        turn = step.turn
        self.ledger.keep(turn.id, step.touched, sizes)
        turn.chain += [block for block in step.blocks if self._whole(block) or turn.phase is Phase.ENDING]
        if step.local:
            turn.stated = step.local[-1].end

    def _retire(self, step: Retire) -> None:
        turn = step.turn
        del self.running[turn.id]
        self.ledger.pool.unreserve(turn.id)
        self.ledger.use(turn.chain)
        if step.park:
            parked = Parked(turn.id, turn.root, pack(turn.tokens[: turn.position]), tuple(turn.chain))
            self.ledger.park(parked, self.spec.working_bytes(turn.position, self.chunk))
        if turn.finish in ("stop", "length") and not turn.only_read:
            self._leave_behind(turn)
        if turn.finish is None:
            turn.requeue()
            self.queue.come_back(turn)

    def _leave_behind(self, turn: Turn) -> None:
        """The places at which earlier turns of this conversation ended."""
        if self.spec.exact:
            self.ledger.leave_behind(self.tips.left_behind(turn))
        elif self.spec.windowed:
            self.ledger.drop_windows(self.tips.passed_windows(turn))

    def fail(self, turns: tuple[Turn, ...], error: Exception) -> list[Event]:
        """These turns are over; nothing of theirs is kept that is not kept already."""
        events: list[Event] = []
        for turn in turns:
            if self.running.pop(turn.id, None) is not None:
                self.ledger.pool.unreserve(turn.id)
                if turn.finish is None:
                    events.append(Failed(turn.id, error))
        return events

    def _has_room(self, turn: Turn, match: PrefixMatch | None = None) -> bool:
        """Beside what is pinned, of which it may need some itself."""
        pool = self.ledger.pool
        return self._needs(turn) - self.beginning.pinned(turn, match) <= pool.capacity - pool.pinned

    def _needs(self, turn: Turn) -> int:
        tokens = turn.prompt_tokens + turn.max_tokens
        return (
            self.spec.lasting_bytes(tokens)
            + self.tips.local_bytes(tokens)
            + self.spec.working_bytes(tokens, self.chunk)
        )

    def check(self) -> None:
        self.ledger.check()
        for turn in self.running.values():
            assert turn.kept <= turn.position <= len(turn.tokens), f"{turn.id} keeps more than it computed"
