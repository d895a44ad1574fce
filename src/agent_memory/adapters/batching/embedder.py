"""An `Embedder` around any encoder: batched across whoever asks at the same moment, and remembered by tenant and text.

As many runs go on as there are lanes; texts that arrive meanwhile wait and share the next run.
"""

import asyncio
from array import array
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Embedding
from agent_memory.domain.tenants import DEFAULT_TENANT

_BATCH = 32  # texts: larger batches gain nothing on a CPU and delay the first of them
_WORTH_A_LANE = 4  # texts
_CACHE_BYTES = 64_000_000

Place = tuple[str, str]
"""A tenant and its text: how long a text takes tells nobody what another has embedded."""


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
        self._lanes = lanes
        self._busy: set[asyncio.Task[None]] = set()
        self._waiting: deque[Place] = deque()
        self._promised: dict[Place, asyncio.Future[Embedding]] = {}
        self._known = _Known(_CACHE_BYTES)

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    async def embed(self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT) -> list[Embedding]:
        promises = [self._promise((tenant, text)) for text in texts]
        # One caller that gives up must not cancel a text that another waits for.
        return [await asyncio.shield(promise) for promise in promises]

    async def count(self, texts: Sequence[str]) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.count, texts)

    def _promise(self, place: Place) -> asyncio.Future[Embedding]:
        if place in self._promised:
            return self._promised[place]
        promise: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        known = self._known.get(place)
        if known is not None:
            promise.set_result(known)
            return promise
        self._promised[place] = promise
        self._waiting.append(place)
        self._begin()
        return promise

    def _begin(self) -> None:
        # A text costs half as much in a run of eight as alone: half of the lanes begin with one, the others with a few.
        enough = 1 if 2 * len(self._busy) < self._lanes else _WORTH_A_LANE
        if len(self._busy) < self._lanes and len(self._waiting) >= enough:
            lane = asyncio.create_task(self._lane())
            self._busy.add(lane)
            lane.add_done_callback(self._ended)

    def _ended(self, lane: asyncio.Task[None]) -> None:
        self._busy.discard(lane)
        self._begin()  # somebody may have come since it found nobody waiting

    async def _lane(self) -> None:
        """Batch after batch until nobody waits; a share for each lane, for cores gain more than batches."""
        while self._waiting:
            fair = -(-len(self._waiting) // self._lanes)
            share = min(max(fair, _WORTH_A_LANE), len(self._waiting), _BATCH)
            batch = [self._waiting.popleft() for _ in range(share)]
            texts = [text for _, text in batch]
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.vectors, texts)
            await asyncio.wait([run])
            error = run.exception()
            if error is None:
                self._keep_promises(batch, run.result())
            else:
                self._break_promises(batch, error)

    def _keep_promises(self, batch: list[Place], vectors: list["array[float]"]) -> None:
        for place, vector in zip(batch, vectors, strict=True):
            embedding = Embedding(self._model, vector)
            self._known.put(place, embedding)
            self._promised.pop(place).set_result(embedding)

    def _break_promises(self, batch: list[Place], error: BaseException) -> None:
        for place in batch:
            self._promised.pop(place).set_exception(Unavailable(f"the embedding model failed: {error}"))


class _Known:
    """What was embedded lately, within a budget of bytes; the least recently asked for goes first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._used = 0
        self._entries: OrderedDict[Place, Embedding] = OrderedDict()

    def get(self, place: Place) -> Embedding | None:
        found = self._entries.get(place)
        if found is not None:
            self._entries.move_to_end(place)
        return found

    def put(self, place: Place, embedding: Embedding) -> None:
        self._entries[place] = embedding
        self._used += _weight(place, embedding)
        while self._used > self._budget:
            self._used -= _weight(*self._entries.popitem(last=False))


def _weight(place: Place, embedding: Embedding) -> int:
    """Bytes, near enough: the text at its widest, the vector, and the objects around them."""
    return 4 * len(place[1]) + 4 * len(embedding.vector) + 500
