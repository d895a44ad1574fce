"""OpenAI's embeddings dialect."""

import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import Embedding

MAX_INPUTS = 2048

Text = Annotated[str, Meta(min_length=1)]


class EmbeddingRequest(Struct, kw_only=True):
    input: Text | Annotated[list[Any], Meta(min_length=1, max_length=MAX_INPUTS)]
    model: str = "default"
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None


class EmbeddingItem(Struct, kw_only=True):
    """`embedding` is a list of numbers, or their 32-bit floats in little-endian order, as base64."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(Struct):
    prompt_tokens: int
    total_tokens: int


class EmbeddingAnswer(Struct, kw_only=True):
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


def texts_of(request: EmbeddingRequest, model: str, dimension: int) -> list[str]:
    """Raises InvalidInput for what this model cannot do."""
    if request.model not in ("default", model):
        raise InvalidInput("model", f"{request.model!r} is not served; embeddings are made by {model!r}, or 'default'")
    if request.dimensions not in (None, dimension):
        raise InvalidInput("dimensions", f"{model} has {dimension}, and cannot have others")
    texts = [request.input] if isinstance(request.input, str) else request.input
    for number, text in enumerate(texts):
        if isinstance(text, (int, list)):
            raise InvalidInput("input", "tokens are those of another model's tokenizer: send the text instead")
        if not isinstance(text, str) or not text:
            raise InvalidInput(f"input[{number}]", "must be a text that is not empty")
    return texts


def from_embeddings(request: EmbeddingRequest, found: Sequence[Embedding], tokens: int) -> EmbeddingAnswer:
    as_text = request.encoding_format == "base64"
    return EmbeddingAnswer(
        data=[
            EmbeddingItem(index=number, embedding=_packed(each) if as_text else list(each.vector))
            for number, each in enumerate(found)
        ],
        model=found[0].model,
        usage=EmbeddingUsage(tokens, tokens),
    )


def _packed(embedding: Embedding) -> str:
    return b64encode(struct.pack(f"<{len(embedding.vector)}f", *embedding.vector)).decode()
