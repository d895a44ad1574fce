"""What the engine does next. Moves the book of turns; does no I/O and touches no tensor.

`plan()` names one step, the engine runs it, `absorb()` or `fail()` enters what came of it and returns the news.
Where blocks live is the ledger's.
"""

from collections import deque

from agent_memory.domain.errors import InvalidInput, Overloaded
from agent_memory.domain.kv.block import CacheBlock, PartKey, common_prefix, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.pool import PoolExhausted
from agent_memory.domain.kv.prefix import PrefixMatch
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.steps import (
    Decode,
    Event,
    Failed,
    Finished,
    Idle,
    Kept,
    Lost,
    Outcome,
    Prefill,
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
from agent_memory.domain.kv.tips import within_reach, worth_local
from agent_memory.domain.kv.turn import Phase, Turn, TurnId


class Scheduler:
    """`max_turns` run at once, `max_waiting` queue behind them; prefill chunks end at multiples of `chunk` tokens, so
    that a prefix is computed in the same pieces whoever reads it.
    """

    def __init__(
        self,
        spec: CacheSpec,
        ledger: Ledger,
        *,
        max_turns: int = 2,
        max_waiting: int = 64,
        chunk: int = 1024,
    ) -> None:
        self.spec, self.ledger = spec, ledger
        self.max_turns, self.max_waiting, self.chunk = max_turns, max_waiting, chunk
        self.running: dict[TurnId, Turn] = {}
        self.waiting: deque[Turn] = deque()
        self._decoded_last = False

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
        if len(self.waiting) >= self.max_waiting:
            raise Overloaded(f"{len(self.waiting)} turns are waiting already", retry_after=5)
        self.waiting.append(turn)

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
        waiting = len(self.waiting)
        self.waiting = deque(turn for turn in self.waiting if turn.id != turn_id)
        return [Finished(turn_id, "cancelled")] if len(self.waiting) < waiting else []

    def preempt(self, turn_id: TurnId) -> None:
        """Put a running turn's cache away and queue it again, first; it resumes where it stopped."""
        turn = self.running.get(turn_id)
        if turn is not None and turn.finish is None:
            turn.put_away()

    # --- plan ---

    def plan(self) -> Step:
        return self._put_away() or self._admit() or self._compute() or Idle()

    def _put_away(self) -> Step | None:
        for turn in self.running.values():
            blocks = turn.unsaved(self.spec.block_tokens)
            if blocks:
                ends = self._ends(turn)
                local = tuple(b for b in blocks if worth_local(b, ends, self.spec.reach))
                return Save(turn, tuple(blocks), local)
            if turn.phase is Phase.SPOKEN:
                return Rewind(turn)
            if turn.phase is Phase.ENDING:
                return Retire(turn)
        return None

    def _ends(self, turn: Turn) -> tuple[int, ...]:
        """Where this conversation is likely to be taken up again, as far as one can tell now."""
        return (turn.prompt_tokens, *turn.marks, *((turn.rereads,) if turn.finish else ()))

    def _admit(self) -> Step | None:
        for turn in self.running.values():
            if turn.phase is Phase.RESTORING:
                return self._restore(turn)
        if len(self.running) >= self.max_turns:
            return None
        ready = next((waiting for waiting in self.waiting if not self._gains_by_waiting(waiting)), None)
        return None if ready is None else self._begin(ready)

    def _begin(self, turn: Turn) -> Step | None:
        try:
            self.ledger.reserve(turn.id, self._needs(turn))
        except PoolExhausted:
            return None  # room comes with the next turn that retires, or the next block that is saved
        self.waiting.remove(turn)
        self.running[turn.id] = turn
        turn.phase = Phase.RESTORING
        return self._restore(turn)

    def _gains_by_waiting(self, turn: Turn) -> bool:
        """Whether a running turn is about to keep a longer prefix of this prompt than is known now: the turn before it
        in its conversation, which is being put away, or another that begins alike and is being read.
        """
        about_to = [other for other in self.running.values() if other.phase is not Phase.DECODING]
        alike = [other for other in about_to if other.root == turn.root and other.tokens[0] == turn.tokens[0]]
        if not alike:
            return False
        known, prompt = self._match(turn).length, pack(turn.tokens[: turn.prompt_tokens - 1])
        return any(
            common_prefix(prompt, pack(other.tokens)) >= known + (1 if other.finish else self.spec.block_tokens)
            for other in alike
        )

    def _restore(self, turn: Turn) -> Restore:
        match = self._match(turn)
        local = tuple(b for b in match.blocks if within_reach(b, match.length, self.spec.reach))
        return Restore(turn, match.blocks, local if self.spec.reach else (), match.length)

    def _match(self, turn: Turn) -> PrefixMatch:
        limit = turn.prompt_tokens - 1  # the model has to read one token to say the next
        tokens = pack(turn.tokens[: turn.prompt_tokens])
        match = self.ledger.index.match(turn.root, tokens, limit)
        for start, end in turn.answers:
            if start - 1 < match.length < end:  # an answer is one piece: another one's beginning is not this one's
                match = self.ledger.index.match(turn.root, tokens, start - 1)
        return match

    def _compute(self) -> Step | None:
        reading = (t for t in self.running.values() if t.phase in (Phase.PREFILLING, Phase.REREADING))
        prefilling = min(reading, key=lambda turn: turn.phase is Phase.PREFILLING, default=None)
        decoding = tuple(t for t in self.running.values() if t.phase is Phase.DECODING)
        if prefilling is not None and (self._decoded_last or not decoding):
            end = prefilling.rereads if prefilling.phase is Phase.REREADING else prefilling.prompt_tokens - 1
            stop = prefilling.next_stop(self.chunk, end)
            return Prefill(prefilling, prefilling.position, stop)
        return Decode(decoding) if decoding else None

    # --- absorb ---

    def absorb(self, step: Step, outcome: Outcome) -> list[Event]:
        match step, outcome:
            case Restore(), Lost(keys):
                for key in keys:
                    self.ledger.strike(key)
                return []
            case Restore(), Restored(promoted):
                return self._restored(step, promoted)
            case Prefill(turn, _, stop), _:
                self._decoded_last = False
                self._read(turn, stop)
                return []
            case Rewind(turn), _:
                turn.position = turn.prompt_tokens - 1
                turn.phase = Phase.REREADING  # the prompt's last token at least
                return []
            case Decode(), Sampled(tokens):
                return self._spoken(step, tokens)
            case Save(), Kept(sizes):
                self._kept(step, dict(sizes))
                return []
            case Retire(), _:
                self._retire(step.turn)
                return []
            case Idle(), _:
                return []
        raise AssertionError(f"{outcome} is no outcome of {step}")

    def _restored(self, step: Restore, promoted: tuple[tuple[PartKey, int], ...]) -> list[Event]:
        self.ledger.promote(promoted)
        self.ledger.touch(step.blocks)
        turn = step.turn
        turn.phase = Phase.PREFILLING
        self._read(turn, step.length)
        turn.chain = [block for block in step.blocks if block.end <= step.length and self._whole(block)]
        if turn.cached_tokens is not None:
            return []  # it was preempted: the client has heard already
        turn.cached_tokens = step.length
        return [Started(turn.id, step.length)]

    def _whole(self, block: CacheBlock) -> bool:
        return len(block) == self.spec.block_tokens

    def _read(self, turn: Turn, position: int) -> None:
        turn.position = position
        if turn.phase is Phase.PREFILLING and position == turn.prompt_tokens - 1:
            turn.phase = Phase.DECODING
        elif turn.phase is Phase.REREADING and position == turn.rereads:
            turn.phase = Phase.ENDING

    def _spoken(self, step: Decode, tokens: tuple[int, ...]) -> list[Event]:
        self._decoded_last = True
        events = []
        for turn, token in zip(step.turns, tokens, strict=True):
            turn.position += 1
            events += self._said(turn, token)
        return events

    def _said(self, turn: Turn, token: int) -> list[Event]:
        if turn.repeating:
            return []
        turn.take(token)
        said: list[Event] = [Said(turn.id, token)]
        return [*said, Finished(turn.id, turn.finish)] if turn.finish else said

    def _kept(self, step: Save, sizes: dict[PartKey, int]) -> None:
        self.ledger.keep(step.turn.id, step.blocks, sizes)
        step.turn.chain += step.blocks

    def _retire(self, turn: Turn) -> None:
        del self.running[turn.id]
        self.ledger.pool.unreserve(turn.id)
        self.ledger.use(turn.chain)
        if turn.finish is None:
            turn.requeue()
            self.waiting.appendleft(turn)

    def fail(self, turns: tuple[Turn, ...], error: Exception) -> list[Event]:
        """These turns are over; nothing of theirs is kept that is not kept already."""
        events: list[Event] = []
        for turn in turns:
            if self.running.pop(turn.id, None) is not None:
                self.ledger.pool.unreserve(turn.id)
                if turn.finish is None:
                    events.append(Failed(turn.id, error))
        return events

    def _needs(self, turn: Turn) -> int:
        tokens = turn.prompt_tokens + turn.max_tokens
        blocks = self.spec.lasting_bytes(tokens) + self.spec.local_bytes(min(tokens, 4 * self.spec.reach))
        return blocks + self.spec.working_bytes(tokens, self.chunk)

    def check(self) -> None:
        self.ledger.check()
        for turn in self.running.values():
            assert turn.kept <= turn.position <= len(turn.tokens), f"{turn.id} keeps more than it computed"
