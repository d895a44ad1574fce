"""An `Embedder` on any model of sentence-transformers; needs the extra of that name."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from agent_memory.adapters.batching.embedder import BatchingEmbedder
from agent_memory.adapters.sentence_transformer.encoder import SentenceEncoder


@asynccontextmanager
async def opened(model: str) -> AsyncIterator[BatchingEmbedder]:
    """The embedder for as long as the context lasts. `model`: a folder, or a name that its hub knows."""
    with ThreadPoolExecutor(1, thread_name_prefix="embed") as thread:
        encoder = await asyncio.get_running_loop().run_in_executor(thread, SentenceEncoder, model)
        yield BatchingEmbedder(encoder.name, encoder, thread, lanes=1)
