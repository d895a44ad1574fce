"""What the engine does next. Moves the books of turns, pool and prefixes; does no I/O and touches no tensor.

`plan()` names one step, the engine runs it, `absorb()` or `fail()` enters what came of it and returns the news.
"""

from collections import deque
from dataclasses import dataclass

from agent_memory.domain.errors import InvalidInput, Overloaded
from agent_memory.domain.kv.block import CacheBlock, Part, PartKey, pack
from agent_memory.domain.kv.pool import BlockPool, PoolExhausted
from agent_memory.domain.kv.prefix import PrefixIndex
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.tips import within_reach, worth_local
from agent_memory.domain.kv.turn import FinishReason, Phase, Turn, TurnId


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring the first `length` tokens into the runtime from `blocks`, with local parts of those in `local`."""

    turn: Turn
    blocks: tuple[CacheBlock, ...]
    local: tuple[CacheBlock, ...]
    length: int

    @property
    def keys(self) -> list[PartKey]:
        lasting = [PartKey(block.hash, Part.LASTING) for block in self.blocks]
        return lasting + [PartKey(block.hash, Part.LOCAL) for block in self.local]


@dataclass(frozen=True, slots=True)
class Prefill:
    """Read tokens `start` to `stop`; where they are the last, the model says the next one."""

    turn: Turn
    start: int
    stop: int

    @property
    def last(self) -> bool:
        return self.stop == len(self.turn.tokens)


@dataclass(frozen=True, slots=True)
class Decode:
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """Take `blocks` out of the runtime into the tiers, with local parts of those in `local`."""

    turn: Turn
    blocks: tuple[CacheBlock, ...]
    local: tuple[CacheBlock, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    turn: Turn


@dataclass(frozen=True, slots=True)
class Idle:
    pass


Step = Restore | Prefill | Decode | Save | Retire | Idle


@dataclass(frozen=True, slots=True)
class Restored:
    """`promoted` are the parts that came from a slower tier."""

    promoted: tuple[tuple[PartKey, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Lost:
    """Parts that were known could not be read: damaged, foreign or gone."""

    keys: tuple[PartKey, ...]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One token for each turn of the step; none after a prefill that was not the last."""

    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """The size of every part that was taken out."""

    sizes: tuple[tuple[PartKey, int], ...] = ()


Outcome = Restored | Lost | Sampled | Kept | None


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt's first `cached_tokens` need no reading."""

    turn: TurnId
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    turn: TurnId
    token: int


@dataclass(frozen=True, slots=True)
class Finished:
    turn: TurnId
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Failed:
    turn: TurnId
    error: Exception


Event = Started | Said | Finished | Failed


class Scheduler:
    """`max_turns` run at once, `max_waiting` queue behind them; prefill chunks end at multiples of `chunk` tokens, so
    that a prefix is computed in the same pieces whoever reads it.
    """

    def __init__(
        self,
        spec: CacheSpec,
        pool: BlockPool,
        index: PrefixIndex,
        *,
        max_turns: int = 2,
        max_waiting: int = 64,
        chunk: int = 1024,
    ) -> None:
        self.spec, self.pool, self.index = spec, pool, index
        self.max_turns, self.max_waiting, self.chunk = max_turns, max_waiting, chunk
        self.running: dict[TurnId, Turn] = {}
        self.waiting: deque[Turn] = deque()
        self.cold: set[PartKey] = set()
        self.evicted: list[PartKey] = []  # no longer in memory
        self.forgotten: list[PartKey] = []  # no longer anywhere
        self._decoded_last = False

    # --- the queue ---

    def submit(self, turn: Turn) -> None:
        """Raises InvalidInput when it can never fit, Overloaded when the queue is full."""
        needs = self._needs(turn)
        if needs > self.pool.capacity:
            raise InvalidInput(
                "messages",
                f"{turn.prompt_tokens} prompt tokens and max_tokens {turn.max_tokens} need "
                f"{needs >> 20} MB of KV cache, the budget is {self.pool.capacity >> 20} MB",
            )
        if len(self.waiting) >= self.max_waiting:
            raise Overloaded(f"{len(self.waiting)} turns are waiting already", retry_after=5)
        self.waiting.append(turn)

    def cancel(self, turn_id: TurnId) -> list[Event]:
        """What is computed is kept all the same. May be repeated, and may come too late."""
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
            turn.phase = Phase.ENDING

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
            if turn.phase is Phase.ENDING:
                return Retire(turn)
        return None

    def _ends(self, turn: Turn) -> tuple[int, ...]:
        """Where this conversation is likely to be taken up again, as far as one can tell now."""
        answering = (turn.position,) if turn.position > turn.prompt_tokens or turn.phase is Phase.ENDING else ()
        return (turn.prompt_tokens, *turn.marks, *answering)

    def _admit(self) -> Step | None:
        for turn in self.running.values():
            if turn.phase is Phase.RESTORING:
                return self._restore(turn)
        if not self.waiting or len(self.running) >= self.max_turns:
            return None
        turn = self.waiting[0]
        try:
            self._drop(self.pool.reserve(turn.id, self._needs(turn)))
        except PoolExhausted:
            return None  # room comes with the next turn that retires, or the next block that is saved
        self.waiting.popleft()
        self.running[turn.id] = turn
        turn.phase = Phase.RESTORING
        return self._restore(turn)

    def _restore(self, turn: Turn) -> Restore:
        limit = len(turn.tokens) - 1  # the model has to read one token to say the next
        match = self.index.match(turn.root, pack(turn.tokens), limit)
        local = tuple(b for b in match.blocks if within_reach(b, match.length, self.spec.reach))
        return Restore(turn, match.blocks, local if self.spec.reach else (), match.length)

    def _compute(self) -> Step | None:
        prefilling = next((t for t in self.running.values() if t.phase is Phase.PREFILLING), None)
        decoding = tuple(t for t in self.running.values() if t.phase is Phase.DECODING)
        if prefilling is not None and (self._decoded_last or not decoding):
            stop = (prefilling.position // self.chunk + 1) * self.chunk
            return Prefill(prefilling, prefilling.position, min(stop, len(prefilling.tokens)))
        return Decode(decoding) if decoding else None

    # --- absorb ---

    def absorb(self, step: Step, outcome: Outcome) -> list[Event]:
        match step, outcome:
            case Restore(), Lost(keys):
                for key in keys:
                    self.forget(key)
                return []
            case Restore(), Restored(promoted):
                return self._restored(step, promoted)
            case Prefill(), Sampled(tokens):
                self._decoded_last = False
                step.turn.position = step.stop
                return self._said(step.turn, tokens[0]) if tokens else []
            case Decode(), Sampled(tokens):
                self._decoded_last = True
                for turn in step.turns:
                    turn.position += 1
                pairs = zip(step.turns, tokens, strict=True)
                return [event for turn, token in pairs for event in self._said(turn, token)]
            case Save(), Kept(sizes):
                self._kept(step, dict(sizes))
                return []
            case Retire(), _:
                self._retire(step.turn)
                return []
            case Idle(), _:
                return []
            case _:
                raise AssertionError(f"{outcome} is no outcome of {step}")

    def _restored(self, step: Restore, promoted: tuple[tuple[PartKey, int], ...]) -> list[Event]:
        for key, nbytes in promoted:
            self._admit_part(key, nbytes, promised=False)
        for key in reversed(
            step.keys
        ):  # a parent is at least as recent as its children, so chains lose their ends first
            if key in self.pool:
                self.pool.touch(key)
        turn = step.turn
        turn.position = step.length
        turn.phase = Phase.PREFILLING
        turn.chain = [block for block in step.blocks if block.end <= step.length and self._whole(block)]
        if turn.cached_tokens is not None:
            return []  # it was preempted: the client has heard already
        turn.cached_tokens = step.length
        return [Started(turn.id, step.length)]

    def _whole(self, block: CacheBlock) -> bool:
        return len(block) == self.spec.block_tokens

    def _said(self, turn: Turn, token: int) -> list[Event]:
        turn.phase = Phase.DECODING
        turn.take(token)
        said: list[Event] = [Said(turn.id, token)]
        return [*said, Finished(turn.id, turn.finish)] if turn.finish else said

    def _kept(self, step: Save, sizes: dict[PartKey, int]) -> None:
        for block in step.blocks:
            local = PartKey(block.hash, Part.LOCAL)
            for key in (PartKey(block.hash, Part.LASTING), local):
                if key in sizes:
                    self.pool.unreserve(step.turn.id, sizes[key])
                    self._admit_part(key, sizes[key], promised=True)
            self.index.add(block, local=local in sizes)
            step.turn.chain.append(block)

    def _admit_part(self, key: PartKey, nbytes: int, *, promised: bool) -> None:
        try:
            self._drop(self.pool.admit(key, nbytes, promised=promised and key not in self.cold))
        except PoolExhausted:
            self.evicted.append(key)

    def _retire(self, turn: Turn) -> None:
        del self.running[turn.id]
        self.pool.unreserve(turn.id)
        for block in reversed(turn.chain):
            key = PartKey(block.hash, Part.LASTING)
            if key in self.pool:
                self.pool.touch(key)
        ends = (turn.prompt_tokens, *turn.marks, turn.position)
        for block in turn.chain:
            # Local parts between the ends served only while the answer's end was not known.
            if block.end > turn.prompt_tokens and not worth_local(block, ends, self.spec.reach):
                self.forget(PartKey(block.hash, Part.LOCAL))
        if turn.finish is None:
            turn.requeue()
            self.waiting.appendleft(turn)

    def fail(self, turns: tuple[Turn, ...], error: Exception) -> list[Event]:
        """These turns are over; nothing of theirs is kept that is not kept already."""
        events: list[Event] = []
        for turn in turns:
            if self.running.pop(turn.id, None) is not None:
                self.pool.unreserve(turn.id)
                if turn.finish is None:
                    events.append(Failed(turn.id, error))
        return events

    # --- the slower tier reports ---

    def saved(self, key: PartKey) -> None:
        self.cold.add(key)
        self.pool.saved(key)
        block = self.index.get(key.hash)
        if block is None:
            self.forget(key)  # it was struck off while it was being written
        elif self._safe(block):
            for shorter in self.index.superseded_by(block):
                self.forget(PartKey(shorter.hash, Part.LOCAL))
                self.forget(PartKey(shorter.hash, Part.LASTING))

    def _safe(self, block: CacheBlock) -> bool:
        """Whether every part that a prefix ending in this block may need has reached the slower tier."""
        parts = (Part.LASTING, Part.LOCAL) if self.spec.reach else (Part.LASTING,)
        return all(PartKey(block.hash, part) in self.cold for part in parts)

    def unsaved(self, key: PartKey) -> None:
        """It could not be written: it lives as long as memory has room for it."""
        self.pool.saved(key)
        if key not in self.pool:
            self.index.forget(key)

    def gone(self, key: PartKey) -> None:
        """The slower tier has evicted it."""
        self.cold.discard(key)
        if key not in self.pool:
            self.index.forget(key)

    def forget(self, key: PartKey) -> None:
        """Strike it off every book; the engine drops the bytes."""
        self.cold.discard(key)
        self.pool.discard(key)
        self.index.forget(key)
        self.forgotten.append(key)

    def _drop(self, evicted: list[PartKey]) -> None:
        self.evicted += evicted
        for key in evicted:
            if key not in self.cold:
                self.index.forget(key)

    def _needs(self, turn: Turn) -> int:
        tokens = len(turn.tokens) + turn.max_tokens - turn.generated
        blocks = self.spec.lasting_bytes(tokens) + self.spec.local_bytes(min(tokens, 4 * self.spec.reach))
        return blocks + self.spec.working_bytes(tokens, self.chunk)

    def check(self) -> None:
        self.pool.check()
        self.index.check()
        for turn in self.running.values():
            assert turn.kept <= turn.position <= len(turn.tokens), f"{turn.id} keeps more than it computed"
