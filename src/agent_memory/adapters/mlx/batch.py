"""Turns that decode together: one batched cache for each layer, which turns join and leave between steps."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from agent_memory.adapters.mlx.caches import LayerCache
from agent_memory.adapters.mlx.sampling import Answer
from agent_memory.adapters.mlx.states import StateCache
from agent_memory.adapters.mlx.tape import Tape
from agent_memory.domain.kv.turn import Sampling, TurnId

_LONGER = 1.1  # than lately: a layer takes the longer the more was read


@dataclass(slots=True, eq=False)
class Running:
    """A turn and its caches. While it is in a batch, they are as they were when it joined. The first
    `computed` of the tokens up to `position` are; the rest is `unfinished`: what each layer caches and what it attends
    to, in the order in which the one needs the other.
    """

    id: TurnId
    caches: list[LayerCache | StateCache]
    tapes: list[Tape]
    sampling: Sampling
    position: int
    spoken_from: int | None = None
    answer: Answer = field(default_factory=Answer)
    computed: int = 0
    unfinished: deque[list[mx.array]] = field(default_factory=deque)
    lately: deque[float] = field(default_factory=lambda: deque([0.0], maxlen=4))  # seconds that each of these took

    def begin(self) -> None:
        """What the caches hold now is to be computed."""
        for cache in self.caches:
            self.unfinished.append(cache.arrays())
            if isinstance(cache, LayerCache):
                self.unfinished.extend([part] for part in cache.attended)
                cache.attended = ()

    def advance(self, seconds: float | None) -> bool:
        """Compute, part by part while there is a limit, but one at least; whether all of it is done."""
        if seconds is None and self.unfinished:
            self.unfinished.clear()  # or what is attended to would be held for all layers at once
            mx.eval([cache.arrays() for cache in self.caches])
        started = time.perf_counter()
        while self.unfinished:
            before = time.perf_counter()
            mx.eval(self.unfinished.popleft())
            now = time.perf_counter()
            self.lately.append(now - before)
            if seconds is not None and self.unfinished and now - started + _LONGER * max(self.lately) > seconds:
                return False
        self.computed = self.position
        return True

    def abandon(self) -> None:
        """Forget what is unfinished. Fit to be read and closed only: the caches count it already."""
        self.unfinished.clear()
        for cache, tape in zip(self.caches, self.tapes, strict=True):
            cache.abandon()
            tape.cut(self.computed)

    def cut(self, length: int) -> None:
        """Hold the first `length` tokens."""
        self.position = self.computed = length
        self.spoken_from = None
        for cache, tape in zip(self.caches, self.tapes, strict=True):
            cache.cut(length)
            tape.cut(length)

    def listen(self) -> None:
        """What comes is read: rounded, and taped."""
        self.spoken_from = None
        for cache, tape in zip(self.caches, self.tapes, strict=True):
            cache.listen(tape)

    def speak(self, token: int) -> None:
        """What comes is spoken, from `token` on, until a rewind. The first that is fed is the prompt's last."""
        if self.spoken_from is not None:
            self.answer.take(token)
        else:
            self.answer = Answer.begin(self.sampling)
            self.unfinished.clear()  # the first step computes it all
            self.spoken_from = self.computed = self.position
            for cache in self.caches:
                cache.mark()
                cache.tape = None

    def rewind(self) -> None:
        if self.spoken_from is not None:
            self.position = self.computed = self.spoken_from
            for cache in self.caches:
                cache.rewind()


class DecodeBatch:
    """Empty, or two turns and more: one alone decodes on its own caches."""

    def __init__(self) -> None:
        self._layers: list[LayerCache | StateCache] = []
        self.members: list[Running] = []

    def gather(self, wanted: Sequence[Running]) -> list[LayerCache | StateCache]:
        """Make these, two or more, the members; their order is `members`. The caches to decode them with."""
        if set(self.members) != set(wanted):
            self._regroup(wanted)
        return self._layers

    def leave(self, turn: Running) -> None:
        if turn in self.members:
            self._regroup([member for member in self.members if member is not turn])

    def _regroup(self, wanted: Sequence[Running]) -> None:
        stay = [member for member in self.members if member in wanted] if len(wanted) > 1 else []
        rows = [self.members.index(member) for member in stay]
        for row, member in enumerate(self.members):
            if member not in stay:
                for cache, layer in zip(member.caches, self._layers, strict=True):
                    cache.inner = layer.inner.extract(row)
        join = [turn for turn in wanted if turn not in stay] if len(wanted) > 1 else []
        if stay:
            self._change(rows, join)
        else:
            self._layers = [self._merged(join, number) for number in range(len(join[0].caches))] if join else []
        for layer in self._layers:
            layer.settle()
        self.members = [*stay, *join]

    def _change(self, rows: list[int], join: list[Running]) -> None:
        for number, layer in enumerate(self._layers):
            if len(rows) < len(self.members):
                layer.inner.filter(rows)
            if join:
                layer.inner.extend(self._merged(join, number).inner)

    def _merged(self, members: Sequence[Running], number: int) -> Any:
        caches: list[Any] = [member.caches[number] for member in members]
        return caches[0].merged(caches)
