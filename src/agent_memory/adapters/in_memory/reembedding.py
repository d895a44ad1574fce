"""A `ReembeddingStore` over the same dictionary as the `MemoryStore`."""

from collections.abc import Sequence

from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore, Kept, apart, place_of
from agent_memory.domain.semantic.memory import Embedding, Memory


class InMemoryReembeddingStore:
    def __init__(self, store: InMemoryMemoryStore) -> None:
        self._kept = store.kept
        self._claimed: tuple[str, int] | None = None

    async def claim(self, model: str, dimension: int) -> None:
        self._claimed = model, dimension

    async def claimed(self) -> tuple[str, int] | None:
        return self._claimed

    async def outdated(self, model: str, dimension: int, limit: int) -> list[Memory]:
        held = self._kept.values()
        of_others = [k.memory for k in held if (k.embedding.model, k.embedding.dimension) != (model, dimension)]
        return [apart(memory) for memory in of_others[:limit]]

    async def reembed(self, entries: Sequence[tuple[Memory, Embedding]]) -> int:
        present = [
            (place, embedding)
            for memory, embedding in entries
            if (place := place_of(memory)) in self._kept and self._kept[place].memory.content == memory.content
        ]
        for place, embedding in present:
            self._kept[place] = Kept(self._kept[place].memory, embedding)
        return len(present)
