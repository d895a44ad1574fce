"""A change of the embedding model: memories get vectors of the new one, in the background.

Until then they are found by their words. It may be cut off at any moment, and run in many workers at once: what is
left is what still has a vector of another model, or of another dimension of it.
"""

from agent_memory.ports.semantic import Embedder, ReembeddingStore

_NOBODY = ""  # no tenant has this name: none of them can tell what was embedded
_AT_ONCE = 8  # so that a request which comes meanwhile does not wait long


class Reembedding:
    def __init__(self, store: ReembeddingStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    async def run(self) -> int:
        """Until every memory has a vector of ours; answers how many got a new one."""
        renewed = 0
        while memories := await self._store.outdated(self._embedder.model, self._embedder.dimension, _AT_ONCE):
            texts = [memory.content for memory in memories]
            embeddings = await self._embedder.embed(texts, tenant=_NOBODY)
            renewed += await self._store.reembed(list(zip(memories, embeddings, strict=True)))
        return renewed
