"""The embedder that the settings ask for: the one that comes with the installation, or any sentence-transformer."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack

from agent_memory.adapters.onnx import embedder as onnx
from agent_memory.application.sound_vectors import SoundVectors
from agent_memory.domain.errors import Misconfigured
from agent_memory.ports.semantic import Embedder
from agent_memory.settings import Settings


async def open_embedder(stack: AsyncExitStack, settings: Settings, runs_on: dict[str, str]) -> Embedder:
    model = settings.memory.embedding_model
    embedder: Embedder
    if model is None:
        embedder = await stack.enter_async_context(onnx.opened(settings.data_folder / "models"))
    else:
        embedder = SoundVectors(await stack.enter_async_context(_sentence_transformer(model)))
    runtime = "onnxruntime" if model is None else "sentence-transformers"
    runs_on["embedder"] = f"{embedder.model}, {embedder.dimension} dimensions, {runtime}"
    return embedder


def _sentence_transformer(model: str) -> AbstractAsyncContextManager[Embedder]:
    try:
        from agent_memory.adapters.sentence_transformer import embedder
    except ModuleNotFoundError as error:
        needed = "pip install 'agent_memory[sentence-transformers]'"
        raise Misconfigured(f"EMBEDDING_MODEL={model}: needs {error.name}: {needed}") from None
    return embedder.opened(model)
