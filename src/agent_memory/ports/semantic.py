"""What semantic memory needs of the world: a place for memories, and something that turns text into vectors.

Every promise here is held by `tests/contracts/` on every adapter.
What cannot be reached raises `Unavailable`.
"""

from collections.abc import Sequence
from typing import Protocol

from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search, Shortlist


class MemoryStore(Protocol):
    """Keeps memories. Many callers, on many event loops and processes, may use one store at once."""

    async def add(self, memory: Memory, embedding: Embedding) -> None:
        """Keep a memory. When it returns, the memory survives a crash and every later search sees it.

        May be repeated: an id that is known already is left as it is.
        """
        ...

    async def shortlist(self, search: Search) -> Shortlist:
        """What may answer the search: the nearest by meaning, the best by words, the newest, and
        the neighbours in time of each; every candidate once, in order of position. Changes nothing.

        Eligible are up to `depth` of the nearest and of the best, and up to `newest` of the newest; whatever the
        filter, min(depth, all that pass it) come back.
        Only vectors of the search's own model are near; a memory of another model has similarity 0.
        """
        ...

    async def remove(self, memory_id: MemoryId, agent_id: str, user_id: str | None = None) -> bool:
        """Forget one memory of this agent (and user, if given). False: there is none, nothing changed."""
        ...

    async def count(self, scope: Scope) -> int:
        """How many memories the scope holds; 0 for a scope nobody has written to."""
        ...


class Embedder(Protocol):
    """Turns text into unit vectors. The same text gives the same vector, alone or beside others, for ever."""

    @property
    def model(self) -> str:
        """The identity that is stored beside every vector: two models of one name agree on every text."""
        ...

    @property
    def dimension(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """One embedding per text, in order; none for none. No text is too long, and none is cut short.

        May be called by many tasks at once and never blocks the event loop. The caller may keep the result,
        but must not write to it: it may be shared.
        """
        ...
