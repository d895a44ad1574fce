"""OpenAI's embeddings, by the model that memories are found with."""

import asyncio
from collections.abc import Sequence

from litestar import post
from litestar.params import JSONBody

from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, openai_errors, tenant_of
from agent_memory.entrypoints.http.streaming import while_connected
from agent_memory.entrypoints.http.wire import embeddings as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.ports.semantic import Embedder


@post(
    "/v1/embeddings",
    dto=StrictJSON[wire.EmbeddingRequest],
    return_dto=None,
    status_code=200,
    responses=openai_errors(),
    tags=["embeddings"],
    summary="Embed texts",
)
async def create_embeddings(
    data: JSONBody[wire.EmbeddingRequest], request: AnyRequest, application: GivenApplication
) -> wire.EmbeddingAnswer:
    """A unit vector for each text, however long it is. `"model": "default"` is the model of the memories."""
    embedder = application.embedder
    texts = wire.texts_of(data, embedder.model, embedder.dimension)
    return await while_connected(request.receive, _embed(embedder, data, texts, tenant_of(request)))


async def _embed(
    embedder: Embedder, request: wire.EmbeddingRequest, texts: Sequence[str], tenant: str
) -> wire.EmbeddingAnswer:
    found, tokens = await asyncio.gather(embedder.embed(texts, tenant=tenant), embedder.count(texts))
    return wire.from_embeddings(request, found, tokens)
