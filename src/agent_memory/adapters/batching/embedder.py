"""An `Embedder` around any encoder: batched across whoever asks at the same moment, and remembered by text.

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

_BATCH = 32  # texts: larger batches gain nothing on a CPU and delay the first of them
_WORTH_A_LANE = 4  # texts
_CACHE_BYTES = 64_000_000


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
        self._waiting: deque[str] = deque()
        self._promised: dict[str, asyncio.Future[Embedding]] = {}
        self._known = _Known(_CACHE_BYTES)

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        promises = [self._promise(text) for text in texts]
        # One caller that gives up must not cancel a text that another waits for.
        return [await asyncio.shield(promise) for promise in promises]

    async def count(self, texts: Sequence[str]) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.count, texts)

    def _promise(self, text: str) -> asyncio.Future[Embedding]:
        if text in self._promised:
            return self._promised[text]
        promise: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()
        known = self._known.get(text)
        if known is not None:
            promise.set_result(known)
            return promise
        self._promised[text] = promise
        self._waiting.append(text)
        # A text costs half as much in a run of eight as alone: half of the lanes begin with one, the others with a few.
        enough = 1 if 2 * len(self._busy) < self._lanes else _WORTH_A_LANE
        if len(self._busy) < self._lanes and len(self._waiting) >= enough:
            lane = asyncio.create_task(self._lane())
            self._busy.add(lane)
            lane.add_done_callback(self._busy.discard)
        return promise

    async def _lane(self) -> None:
        """Batch after batch until nobody waits; a share for each lane, for cores gain more than batches."""
        while self._waiting:
            fair = -(-len(self._waiting) // self._lanes)
            share = min(max(fair, _WORTH_A_LANE), len(self._waiting), _BATCH)
            batch = [self._waiting.popleft() for _ in range(share)]
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._encoder.vectors, batch)
            await asyncio.wait([run])
            error = run.exception()
            if error is None:
                self._keep_promises(batch, run.result())
            else:
                self._break_promises(batch, error)

    def _keep_promises(self, batch: list[str], vectors: list["array[float]"]) -> None:
        for text, vector in zip(batch, vectors, strict=True):
            embedding = Embedding(self._model, vector)
            self._known.put(text, embedding)
            self._promised.pop(text).set_result(embedding)

    def _break_promises(self, batch: list[str], error: BaseException) -> None:
        for text in batch:
            self._promised.pop(text).set_exception(Unavailable(f"the embedding model failed: {error}"))


class _Known:
    """What was embedded lately, within a budget of bytes; the least recently asked for goes first."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._used = 0
        self._entries: OrderedDict[str, Embedding] = OrderedDict()

    def get(self, text: str) -> Embedding | None:
        found = self._entries.get(text)
        if found is not None:
            self._entries.move_to_end(text)
        return found

    def put(self, text: str, embedding: Embedding) -> None:
        self._entries[text] = embedding
        self._used += _weight(text, embedding)
        while self._used > self._budget:
            self._used -= _weight(*self._entries.popitem(last=False))


def _weight(text: str, embedding: Embedding) -> int:
    """Bytes, near enough: the text at its widest, the vector, and the objects around them."""
    return 4 * len(text) + 4 * len(embedding.vector) + 500
