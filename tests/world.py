"""A small world for the engine: tenants whose conversations grow, fork and diverge on a toy model, with restarts,
preemption, cancellation, tiny budgets and rotten blocks. Every answer is held against the uncached one.
"""

import random
from dataclasses import dataclass, field
from functools import lru_cache

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.engine import Engine
from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Failed, Finished, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId

VOCABULARY = 3
MAX_TOKENS = 6


# full · window · recurrent: each kind alone, and together
KINDS = [
    (True, 0, False),
    (True, 3, False),
    (True, 10, False),
    (False, 6, False),
    (True, 0, True),
    (False, 0, True),
    (True, 6, True),
]


def toy(weights: str, kind: tuple[bool, int, bool], rests: int = 0) -> ToyRuntime:
    full, window, recurrent = kind
    return ToyRuntime(
        vocabulary=VOCABULARY, full=full, window=window, recurrent=recurrent, weights=weights, rests=rests
    )


@lru_cache(maxsize=100_000)
def uncached(weights: str, kind: tuple[bool, int, bool], prompt: tuple[int, ...], count: int) -> tuple[int, ...]:
    """What the model says after the prompt when nothing was ever cached."""
    runtime = toy(weights, kind)
    turn = TurnId("alone")
    runtime.open(turn, Sampling(temperature=0), [])
    runtime.prefill(turn, prompt[:-1])
    answer = runtime.decode([(turn, prompt[-1])])
    while len(answer) < count:
        answer += runtime.decode([(turn, answer[-1])])
    return tuple(answer)


def common(a, b) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


class FallibleStore(InMemoryBlockStore):
    """Parts can rot, as files do: a rotten part is found out by its checksum, so it is absent."""

    def rot(self, dice: random.Random) -> None:
        parts = list(self._pool)
        if parts:
            self.delete(dice.choice(parts))


@dataclass
class World:
    seed: int
    histories: dict[str, list[tuple[int, ...]]] = field(default_factory=lambda: {"ada": [], "bob": []})
    finished: int = 0
    cached: int = 0
    parked: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.kind = self.dice.choice(KINDS)
        self.store = FallibleStore(self.dice.choice([400, 2_000, 100_000]))
        self.computed: dict[tuple[str, str], list[tuple[int, ...]]] = {}
        self.count = 0
        self.boot("toy")

    def boot(self, weights: str) -> None:
        """A new process on the old store."""
        self.weights = weights
        self.runtime = toy(weights, self.kind, rests=self.dice.choice([0, 1, 2, 3]))
        self.writer = WriteBehind(self.store, lambda: None)
        self.ahead = ReadAhead(self.store, budget=300)
        spec = self.runtime.spec
        scheduler = Scheduler(
            spec,
            Ledger(spec, self.dice.choice([1_500, 2_500, 50_000])),
            max_turns=self.dice.choice([1, 2, 4]),
            chunk=self.dice.choice([4, 8]),
        )
        self.engine = Engine(self.runtime, TieredBlocks(self.store, self.writer, self.ahead), scheduler)
        self.open: dict[TurnId, tuple[str, tuple[int, ...], list[int]]] = {}

    def run(self, steps: int) -> None:
        acts = [self.ask, self.ask, self.beat, self.beat, self.beat, self.write, self.preempt, self.cancel, self.harm]
        acts.append(self.rehearse)
        for _ in range(steps):
            self.dice.choice(acts)()
        self.settle()

    def settle(self) -> None:
        for _ in range(10_000):
            self.writer.drain()
            self.beat()
            if self.engine.idle and not self.open:
                return
        raise AssertionError("the engine never came to rest")

    def ask(self) -> None:
        if len(self.open) >= 5:
            return
        tenant = self.dice.choice(list(self.histories))
        prompt = self.prompt(tenant)
        self.count += 1
        turn_id = TurnId(f"t{self.count}")
        root = self.engine.namespace(tenant).root
        sampling = Sampling(temperature=0)
        self.open[turn_id] = (tenant, prompt, [])
        marks = tuple(self.places(prompt, self.dice.choice([0, 1])))
        ends = self.places(prompt, self.dice.choice([0, 2, 4]))
        answers = tuple(zip(ends[::2], ends[1::2], strict=True))
        turn = Turn(
            turn_id, root, list(prompt), self.dice.randint(1, MAX_TOKENS), sampling, marks=marks, answers=answers
        )
        self.engine.submit(turn)

    def rehearse(self) -> None:
        """Something that may come is read for nobody yet."""
        tenant = self.dice.choice(list(self.histories))
        tokens = self.prompt(tenant)
        self.count += 1
        marks = tuple(self.places(tokens, self.dice.choice([0, 1])))
        ends = self.places(tokens, self.dice.choice([0, 2]))
        answers = tuple(zip(ends[::2], ends[1::2], strict=True))
        root = self.engine.namespace(tenant).root
        turn = Turn(TurnId(f"r{self.count}"), root, list(tokens), 0, marks=marks, answers=answers, only_read=True)
        self.engine.rehearse(turn)
        self.computed.setdefault((tenant, self.weights), []).append(tokens)
        self.histories[tenant] = [*self.histories[tenant], tokens][-6:]

    def places(self, prompt: tuple[int, ...], count: int) -> list[int]:
        return sorted(self.dice.sample(range(1, len(prompt) + 1), count)) if count <= len(prompt) else []

    def prompt(self, tenant: str) -> tuple[int, ...]:
        """Go on from a conversation, cut into one, or begin anew; all tenants say similar things."""
        said = self.histories[tenant] or [()]
        base = self.dice.choice(said)
        if self.dice.random() < 0.3:
            base = base[: self.dice.randint(0, len(base))]
        more = [self.dice.randrange(VOCABULARY) for _ in range(self.dice.randint(1, 6))]
        return (base + tuple(more))[-40:] if len(base) > 34 else base + tuple(more)

    def beat(self) -> None:
        for event in self.engine.step():
            self.hear(event)
        self.engine.check()
        alive = {*self.engine.scheduler.running, *self.engine.scheduler.ledger.parking}
        assert self.runtime.open_turns <= alive, "a cache outlives its turn"
        self.parked += len(self.engine.scheduler.ledger.parking)

    def hear(self, event) -> None:
        match event:
            case Started(turn_id, cached):
                tenant, prompt, _ = self.open[turn_id]
                known = self.computed.setdefault((tenant, self.weights), [])
                assert cached <= max((common(prompt, one) for one in known), default=0), "a prefix nobody computed"
                known.append(prompt)
                self.cached += cached
            case Said(turn_id, token):
                tenant, prompt, answer = self.open[turn_id]
                answer.append(token)
                self.computed[tenant, self.weights].append(prompt + tuple(answer))
            case Finished(turn_id, _):
                tenant, prompt, answer = self.open.pop(turn_id)
                if answer:
                    assert tuple(answer) == uncached(self.weights, self.kind, prompt, len(answer))
                    self.histories[tenant] = [*self.histories[tenant], prompt + tuple(answer)][-6:]
                self.finished += 1
            case Failed(_, error):
                raise AssertionError("a turn failed") from error

    def write(self) -> None:
        self.writer.drain()
        self.ahead.drain()

    def preempt(self) -> None:
        if self.open:
            self.engine.scheduler.preempt(self.dice.choice(list(self.open)))

    def cancel(self) -> None:
        if self.open and self.dice.random() < 0.3:
            for event in self.engine.cancel(self.dice.choice(list(self.open))):
                self.hear(event)

    def harm(self) -> None:
        if self.dice.random() < 0.5:
            self.store.rot(self.dice)
        elif self.dice.random() < 0.15:
            self.boot(self.dice.choice(["toy", "toy", "other"]))  # what was queued for the store is lost, as by kill -9
