"""The default `Embedder`: all-MiniLM-L6-v2 on the CPU, one run for each core."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from agent_memory.adapters.batching.embedder import BatchingEmbedder
from agent_memory.adapters.onnx.encoder import Encoder
from agent_memory.adapters.onnx.installation import NAME, installed


@asynccontextmanager
async def opened(models_dir: Path, cores: int | None = None) -> AsyncIterator[BatchingEmbedder]:
    """The embedder for as long as the context lasts; the first time on a machine it installs its model."""
    lanes = cores or os.cpu_count() or 1
    with ThreadPoolExecutor(lanes, thread_name_prefix="embed") as threads:
        loop = asyncio.get_running_loop()
        encoder = await loop.run_in_executor(threads, lambda: Encoder(installed(models_dir)))
        yield BatchingEmbedder(NAME, encoder, threads, lanes)
