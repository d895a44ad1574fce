"""An `Embedder` without a model: words and their beginnings, hashed into a vector.

Texts are near when they share words or stems. It is deterministic on every machine, and knows no meaning.
"""

import math
from array import array
from collections.abc import Sequence
from zlib import crc32

from agent_memory.domain.semantic.memory import Embedding
from agent_memory.domain.semantic.words import word_counts
from agent_memory.domain.tenants import DEFAULT_TENANT


class HashingEmbedder:
    def __init__(self, dimension: int = 384) -> None:
        self._dimension = dimension

    @property
    def model(self) -> str:
        return f"hashing-{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    async def embed(
        self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT, asked: bool = False
    ) -> list[Embedding]:
        del tenant, asked  # nothing is remembered, and a question is a text
        return [Embedding(self.model, self._vector(text)) for text in texts]

    async def count(self, texts: Sequence[str]) -> int:
        return sum(len(text.split()) or 1 for text in texts)

    def _vector(self, text: str) -> "array[float]":
        values = [0.0] * self._dimension
        # Text without a searchable word still has a direction: that of its own spelling.
        for word, count in (word_counts(text) or {text: 1}).items():
            for feature, weight in ((word, 1.0), (word[:4] + "-", 0.5)):
                place, sign = divmod(crc32(feature.encode()), 2)
                values[place % self._dimension] += weight * count * (1 if sign else -1)
        length = math.hypot(*values) or 1.0
        return array("f", (value / length for value in values))
