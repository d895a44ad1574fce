"""An `Embedder` around any encoder: batched across whoever asks at the same moment, and remembered by tenant and text.

As many runs go on as there are lanes; texts that arrive meanwhile wait and share the next run (`waiting`).
"""

import asyncio
import os
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from agent_memory.adapters.batching.waiting import Place, Run, Waiting
from agent_memory.domain.errors import CLOSED, FORKED, Unavailable
from agent_memory.domain.semantic.memory import Embedding
from agent_memory.domain.tenants import DEFAULT_TENANT

Result = TypeVar("Result")

_CACHE_BYTES = 64_000_000
_OF_A_TEXT = 500  # bytes of objects around it


class Encoder(Protocol):
    """Texts to unit vectors on the calling thread; may be called from as many threads as there are lanes."""

    @property
    def dimension(self) -> int: ...

    def vectors(self, texts: Sequence[str]) -> list["array[float]"]: ...

    def count(self, texts: Sequence[str]) -> int: ...


class BatchingEmbedder:
    """Belongs to one event loop. `model` names what the encoder computes."""

    def __init__(self, model: str, encoder: Encoder, threads: ThreadPoolExecutor, lanes: int) -> None:
        self._model = model
        self._encoder = encoder
        self._threads = threads
        self._process = os.getpid()
        self._busy: set[asyncio.Task[None]] = set()
        self._waiting = Waiting(lanes)
        self._promised: dict[Place, _Promise] = {}
        self._known = _Known(_CACHE_BYTES, model, encoder.dimension)

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    async def embed(
        self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT, asked: bool = False
    ) -> list[Embedding]:
        del asked  # to be told from another text it needs an embedder of its own, with an encoder for questions
        self._check_ours()
        alone = len(texts) == 1
        promises = [self._promise((tenant, text), alone=alone) for text in texts]
        try:
            # One caller that gives up must not cancel a text that another waits for.
            return [await asyncio.shield(promise.embedding) for promise in promises]
        finally:
            self._leave(promises)

    async def count(self, texts: Sequence[str]) -> int:
        self._check_ours()
        return await self._begun(self._encoder.count, texts)

    def _check_ours(self) -> None:
        """A forked process has none of its parent's threads."""
        if self._process != os.getpid():
            raise Unavailable(FORKED)

    def _promise(self, place: Place, *, alone: bool) -> "_Promise":
        if place in self._promised:
            promise = self._promised[place]
            promise.callers += 1
            return promise
        promise = _Promise(place, asyncio.get_running_loop().create_future())
        known = self._known.get(place)
        if known is not None:
            promise.embedding.set_result(known)
            return promise
        self._promised[place] = promise
        self._waiting.add(place, alone=alone)
        self._begin()
        return promise

    def _leave(self, promises: Sequence["_Promise"]) -> None:
        """What nobody waits for any more is not read, unless it is being read."""
        for promise in promises:
            promise.callers -= 1
            if not promise.callers and not promise.embedding.done() and self._waiting.drop(promise.place):
                del self._promised[promise.place]

    def _begin(self) -> None:
        if self._waiting.is_worth_a_lane(len(self._busy)):
            lane = asyncio.create_task(self._lane())
            self._busy.add(lane)
            lane.add_done_callback(self._ended)

    def _ended(self, lane: asyncio.Task[None]) -> None:
        self._busy.discard(lane)
        self._begin()  # somebody may have come since it found nobody waiting

    async def _lane(self) -> None:
        """Run after run until there is none for it."""
        while run := self._waiting.take():
            await self._read(run)
            self._begin()  # what was kept for others may be free by now

    async def _read(self, run: Run) -> None:
        texts = [text for _, text in run.places]
        try:
            reading = self._begun(self._encoder.vectors, texts)
        except Unavailable:
            self._waiting.done(run)
            self._break_promises(run.places, CLOSED)
            return
        await asyncio.wait([reading])
        self._waiting.done(run)
        error = reading.exception()
        if error is None:
            self._keep_promises(run.places, reading.result())
        else:
            # What it says may be what it was given.
            self._break_promises(run.places, f"the embedding model failed: {type(error).__name__}", error)

    def _begun(self, work: Callable[[Sequence[str]], Result], texts: Sequence[str]) -> asyncio.Future[Result]:
        try:
            return asyncio.get_running_loop().run_in_executor(self._threads, work, texts)
        except RuntimeError:  # no thread takes anything any more
            raise Unavailable(CLOSED) from None

    def _keep_promises(self, batch: list[Place], vectors: list["array[float]"]) -> None:
        for place, vector in zip(batch, vectors, strict=True):
            embedding = Embedding(self._model, vector)
            self._known.put(place, embedding)
            self._promised.pop(place).embedding.set_result(embedding)

    def _break_promises(self, batch: list[Place], told: str, cause: BaseException | None = None) -> None:
        for place in batch:
            promise, unavailable = self._promised.pop(place).embedding, Unavailable(told)
            unavailable.__cause__ = cause
            promise.set_exception(unavailable)
            promise.exception()  # who has brought many hears of the first, and is not told of the others by the log


@dataclass(slots=True)
class _Promise:
    place: Place
    embedding: asyncio.Future[Embedding]
    callers: int = 1  # who wait for it


class _Known:
    """What was embedded lately, within a budget of bytes; the least recently asked for goes first.

    The vectors lie in one matrix: each of its own, among what a run of the model takes and gives back, they would keep
    far more than their room from the system.
    """

    def __init__(self, budget: int, model: str, dimension: int) -> None:
        self._model = model
        self._least = 4 * dimension + _OF_A_TEXT
        self._vectors = np.empty((budget // self._least, dimension), dtype=np.float32)
        self._free = list(range(len(self._vectors)))[::-1]
        self._left = budget
        self._rows: OrderedDict[Place, int] = OrderedDict()

    def get(self, place: Place) -> Embedding | None:
        row = self._rows.get(place)
        if row is None:
            return None
        self._rows.move_to_end(place)
        return Embedding(self._model, array("f", self._vectors[row].tobytes()))

    def put(self, place: Place, embedding: Embedding) -> None:
        weight = self._weight(place)
        while self._rows and self._left < weight:
            oldest, row = self._rows.popitem(last=False)
            self._left += self._weight(oldest)
            self._free.append(row)
        if self._left >= weight:
            self._left -= weight
            row = self._rows[place] = self._free.pop()
            self._vectors[row] = embedding.vector

    def _weight(self, place: Place) -> int:
        """Bytes, near enough: the text at its widest, the vector, and the objects around them."""
        return self._least + 4 * len(place[1])
