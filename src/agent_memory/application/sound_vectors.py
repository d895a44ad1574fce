"""An `Embedder` around one that anybody wrote: what it gives can be kept, compared, exported and imported again.

Every vector is scaled to length 1; what has none, since nothing was found in the text, stays, and is near nothing. An
embedder that does not know questions from other texts need not take the keyword that tells them.
"""

import inspect
from collections.abc import Callable, Sequence

from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Embedding
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.ports.semantic import Embedder


class SoundVectors:
    """Raises Unavailable, with the model's name, for what is no answer to what was asked."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._is_told = _takes(embedder.embed, "asked")

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    async def embed(
        self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT, asked: bool = False
    ) -> list[Embedding]:
        told = {"asked": asked} if self._is_told else {}
        embeddings = await self._embedder.embed(texts, tenant=tenant, **told)
        try:
            if len(embeddings) != len(texts):
                raise self._failed(f"{len(embeddings)} vectors for {len(texts)} texts")
            return [self._sound(embedding) for embedding in embeddings]
        except (TypeError, AttributeError) as error:
            raise self._failed(f"what are no embeddings: {error}") from None

    async def count(self, texts: Sequence[str]) -> int:
        return await self._embedder.count(texts)

    def _sound(self, embedding: Embedding) -> Embedding:
        if embedding.model != self.model:  # memories would get new vectors for ever
            raise self._failed(f"a vector of the model {embedding.model!r}")
        if embedding.dimension != self.dimension:
            raise self._failed(f"a vector of {embedding.dimension} dimensions instead of {self.dimension}")
        try:
            return embedding.scaled()
        except (TypeError, ValueError) as error:
            raise self._failed(f"a vector that cannot be used: {error}") from None

    def _failed(self, gave: str) -> Unavailable:
        return Unavailable(f"the embedding model {self.model!r} gave {gave}")


def _takes(function: Callable[..., object], keyword: str) -> bool:
    parameters = inspect.signature(function).parameters
    return keyword in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
