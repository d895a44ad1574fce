"""An `Embedder` on any model of sentence-transformers; needs the extra of that name."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from agent_memory.adapters.batching.embedder import BatchingEmbedder
from agent_memory.adapters.sentence_transformer.encoder import SentenceEncoder
from agent_memory.domain.semantic.memory import Embedding
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.ports.semantic import Embedder


class PromptedEmbedder:
    """For a model that reads a question otherwise than what answers it; each has a cache of its own."""

    def __init__(self, memories: BatchingEmbedder, questions: BatchingEmbedder) -> None:
        self._memories = memories
        self._questions = questions

    @property
    def model(self) -> str:
        return self._memories.model

    @property
    def dimension(self) -> int:
        return self._memories.dimension

    async def embed(
        self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT, asked: bool = False
    ) -> list[Embedding]:
        return await (self._questions if asked else self._memories).embed(texts, tenant=tenant)

    async def count(self, texts: Sequence[str]) -> int:
        return await self._memories.count(texts)


@asynccontextmanager
async def opened(model: str) -> AsyncIterator[Embedder]:
    """The embedder for as long as the context lasts. `model`: a folder, or a name that its hub knows."""
    with ThreadPoolExecutor(1, thread_name_prefix="embed") as thread:
        encoder = await asyncio.get_running_loop().run_in_executor(thread, SentenceEncoder, model)
        memories, asking = BatchingEmbedder(encoder.name, encoder, thread, lanes=1), encoder.for_questions()
        if asking is None:
            yield memories
        else:
            yield PromptedEmbedder(memories, BatchingEmbedder(encoder.name, asking, thread, lanes=1))
