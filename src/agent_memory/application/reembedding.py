"""A change of the embedding model: memories get vectors of the new one, in the background.

Until then they are found by their words. It may be cut off at any moment, and run in many workers at once: what is
left is what still has a vector of another model, or of another dimension of it.

Of programs with different models on one database, the one that began last does it: else each would undo what the other
has done, for ever.
"""

import structlog

from agent_memory.domain.semantic.memory import Memory
from agent_memory.ports.semantic import Embedder, ReembeddingStore

_NOBODY = ""  # no tenant has this name: none of them can tell what was embedded
_AT_ONCE = 8  # so that a request which comes meanwhile does not wait long
_log = structlog.get_logger(__name__)


class Reembedding:
    def __init__(self, store: ReembeddingStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._begun = False
        self._told: tuple[str, int] | None = None

    async def run(self) -> int:
        """Until every memory has a vector of ours, or another program's model has come after ours; answers how many got
        a new one.
        """
        if not self._begun:
            await self._store.claim(self._embedder.model, self._embedder.dimension)
            self._begun = True
        renewed = 0
        while await self._is_ours() and (memories := await self._outdated()):
            texts = [memory.content for memory in memories]
            embeddings = await self._embedder.embed(texts, tenant=_NOBODY)
            renewed += await self._store.reembed(list(zip(memories, embeddings, strict=True)))
        return renewed

    async def _outdated(self) -> list[Memory]:
        return await self._store.outdated(self._embedder.model, self._embedder.dimension, _AT_ONCE)

    async def _is_ours(self) -> bool:
        """Whether nobody with another model has begun after us; if somebody has, the log says so once."""
        ours = self._embedder.model, self._embedder.dimension
        claimed = await self._store.claimed()
        other = claimed if claimed != ours else None
        if other is not None and other != self._told:
            _log.warning(
                "another program gives all memories vectors of its model: ours embeds none anew until it is restarted",
                model=other[0],
                dimension=other[1],
                ours=ours[0],
                our_dimension=ours[1],
            )
        self._told = other
        return other is None
