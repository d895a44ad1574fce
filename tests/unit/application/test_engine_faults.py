"""Every call that the engine makes of a model or a store fails once: what it touches fails with an error or is computed
anew, everybody is answered, the books balance, and the engine answers rightly afterwards.
"""

import pytest
from world import uncached

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.engine import Engine
from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Failed, Finished, Said
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId

FIRST = (0, 1, 2, 0, 2, 1, 1, 0, 2)
RUNTIME = ["open", "resume", "advance", "prefill", "decode", "rewind", "read", "close"]
STORE = ["get", "put", "touch", "delete"]


class Lost(RuntimeError):
    """The device, or the disk."""


def prompts(window):
    """They share beginnings, and one goes on where an answer ended."""
    following = (*FIRST, *uncached("toy", (True, window, False), FIRST, 4), 1)
    return [FIRST, following, (*FIRST, 2, 2, 1, 0, 1), (2, 1, 0, 0, 1, 2, 2), (*FIRST, 1, 0), (1, 1, 1, 1, 1, 1)]


def fail_once(part, method, call, error):
    """The `call`-th use of the method raises; returns what happened."""
    happened, original, calls = [], getattr(part, method), iter(range(1_000_000))

    def failing(*args):
        if next(calls) == call:
            happened.append(method)
            raise error
        return original(*args)

    setattr(part, method, failing)
    return happened


class Desk:
    def __init__(self, store, window, capacity) -> None:
        self.runtime = ToyRuntime(vocabulary=3, window=window)
        self.window = window
        self.asked = 0
        self.leaky = False  # a cache that cannot be closed
        spec = self.runtime.spec
        self.writer, self.ahead = WriteBehind(store, lambda: None), ReadAhead(store, 1000)
        scheduler = Scheduler(spec, Ledger(spec, capacity), max_turns=2, chunk=4)
        self.engine = Engine(self.runtime, TieredBlocks(store, self.writer, self.ahead), scheduler)

    def ask(self, wanted) -> int:
        """How many failed. Everybody is answered once, and nobody wrongly."""
        asked = {TurnId(f"t{self.asked + number}"): prompt for number, prompt in enumerate(wanted)}
        self.asked += len(wanted)
        said = {turn: [] for turn in asked}
        for turn, prompt in asked.items():
            root = self.engine.namespace("tenant").root
            self.engine.submit(Turn(turn, root, list(prompt), 4, Sampling(temperature=0)))
        ended = []
        for _ in range(2000):
            if len(ended) == len(wanted) and self.engine.idle:
                break
            self.ahead.drain()
            for event in self.engine.step():
                if isinstance(event, Said):
                    said[event.turn].append(event.token)
                elif isinstance(event, Failed):
                    assert isinstance(event.error, Lost | OSError)
                    ended.append(event)
                elif isinstance(event, Finished):
                    ended.append(event)
            self.writer.drain()
            self.engine.check()
            alive = {*self.engine.scheduler.running, *self.engine.scheduler.ledger.parking}
            assert self.leaky or self.runtime.open_turns <= alive, "a cache outlives its turn"
        assert sorted(event.turn for event in ended) == sorted(said)
        for turn in (event.turn for event in ended if isinstance(event, Finished)):
            assert tuple(said[turn]) == uncached("toy", (True, self.window, False), asked[turn], 4)
        return sum(isinstance(event, Failed) for event in ended)


def try_every_call(part_of, method, error, window, budget):
    """Let the first call of the method fail, then the second in its place, and so on, in ever longer strides, to the
    last. How many calls there were, about, and how many turns failed.
    """
    call, failed = 0, 0
    while True:
        store = InMemoryBlockStore(budget)
        Desk(store, window, 2000).ask([FIRST])  # something to restore
        desk = Desk(store, window, 2000)
        desk.leaky = method == "close"
        happened = fail_once(part_of(desk, store), method, call, error)
        for _ in range(3):
            before = bool(happened)
            failing = desk.ask(prompts(window))
            assert not (failing and before), "it fails again without a cause"
            failed += failing
        if not happened:
            return call, failed
        assert desk.ask(prompts(window)) == 0
        call += 1 + call // 4


@pytest.mark.parametrize("window", [0, 3])
@pytest.mark.parametrize("method", RUNTIME)
def test_whatever_a_model_raises_and_whenever(method, window):
    calls, failed = try_every_call(lambda desk, store: desk.runtime, method, Lost(method), window, 1 << 20)
    assert calls > 0
    assert failed > 0 or method in ("close", "read", "rewind")  # by then the client has its answer


@pytest.mark.parametrize("error", [Lost("a bug"), OSError("a disk")], ids=["bug", "disk"])
@pytest.mark.parametrize("method", STORE)
def test_whatever_a_store_raises_and_whenever(method, error):
    calls, failed = try_every_call(lambda desk, store: store, method, error, 3, 1200)
    assert calls > 0
    assert not failed or method == "get"


def test_a_store_that_cannot_say_what_it_knows_is_found_at_the_start():
    store = InMemoryBlockStore()
    fail_once(store, "known", 0, Lost("known"))
    with pytest.raises(Lost):
        Desk(store, 0, 2000)
