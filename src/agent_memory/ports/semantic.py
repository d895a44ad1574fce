"""What semantic memory needs of the world: a place for memories, and something that turns text into vectors.

Every promise here is held by `tests/contracts/` on every adapter. An id is one tenant's: two may use the same for
different memories, and neither hears of the other's.
What cannot be reached raises `Unavailable`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from agent_memory.domain.semantic.checks import Json
from agent_memory.domain.semantic.duplicates import Likeness, Remembered
from agent_memory.domain.semantic.keeping import Inventory, Mark, Receipt, Versions
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search, Shortlist
from agent_memory.domain.semantic.selection import Selection
from agent_memory.domain.tenants import DEFAULT_TENANT


class MemoryStore(Protocol):
    """Keeps memories. Many callers, on many event loops and processes, may use one store at once."""

    async def add(self, memory: Memory, embedding: Embedding, now: datetime | None = None) -> bool:
        """Keep a memory. When it returns, the memory survives a crash and every later search sees it.

        May be repeated: an id that is known already is left as it is, and the answer is False. But what the memory
        `takes_place_of`, if a moment is given, is gone as if it were purged, whosesoever it was.
        """
        ...

    async def shortlist(self, search: Search) -> Shortlist:
        """What may answer the search: the nearest by meaning, the best by words, the newest, and
        the neighbours in time of each; every candidate once, in order of position. Changes nothing.

        Eligible are up to `depth` of the nearest and of the best, and up to `newest` of the newest; whatever the
        filter, min(depth, all that pass it) come back.
        With a `weighing` the best `depth` of that sum take the place of the nearest, and neighbours need not come.
        Only vectors of the search's own model and dimension are near; a memory of another has similarity 0.
        """
        ...

    async def remove(
        self,
        memory_id: MemoryId,
        agent_id: str,
        user_id: str | None = None,
        *,
        tenant: str,
        version: Versions | None = None,
    ) -> bool:
        """Forget one memory of this agent (and user, if given). False: there is none, nothing changed. Raises
        StaleVersion, and nothing changed, where a version is given and it is at another.

        What was condensed of it goes with it, and its other sources are superseded as that was: by nothing, as a rule,
        so that they hold again.
        """
        ...

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        """How many memories of the scope hold now; without a moment how many it keeps, superseded and expired ones too.
        0 for a scope nobody has written to.
        """
        ...


class Spool(Protocol):
    """Takes what a scope has, some at a time."""

    def clear(self) -> None:
        """Nothing of it counts: it begins now, or begins anew."""
        ...

    def add(self, entries: Sequence[tuple[Memory, Embedding]]) -> None: ...


class MemoryArchive(Protocol):
    """Looks after what a `MemoryStore` keeps, in the same place. Every verb is one commit: all of it, or nothing."""

    async def add_many(self, entries: Sequence[tuple[Memory, Embedding]], now: datetime | None = None) -> list[bool]:
        """Keep many; True for each that is new, False for each whose id was known and is left as it was. What one of
        them `takes_place_of`, if a moment is given, is gone before the first is kept.
        """
        ...

    async def agree(self, memories: Sequence[Memory], *, tenant: str) -> list[bool]:
        """For each, whether what is kept under its id is of its agent and user and has its very content; where nothing
        is kept, it does not. Whatever else they carry is not compared. Changes nothing.
        """
        ...

    async def tell_many(
        self, entries: Sequence[tuple[Memory, Embedding]], now: datetime
    ) -> list[list[Likeness] | None]:
        """`add_many` with this moment, and of each that is new what `alike` would have said had they been kept one
        after the other; None for each whose id was known. All are of one scope and one model.
        """
        ...

    async def alike(self, memory: Memory, embedding: Embedding, now: datetime) -> list[Likeness]:
        """Up to `MOST_REPORTED` others of its scope that hold now and are `NEAR` it, the most similar first; of the
        very same content, they have similarity 1, whatever their vector. Of a large scope one that is near may be
        missing, and as long as it has no index for vectors all that are not of the very same content are.
        """
        ...

    async def reinforce(self, memory: Memory, embedding: Embedding, now: datetime) -> Remembered:
        """Add the memory or, if another that holds now is `told_again` by it, put what becomes of that one in its
        place; answers which of them tells it now. Of many who tell the same at once, one adds it.

        May be repeated: an id that is known, or has reinforced a memory, brings back that memory as it is now. Whether
        it says the same, and is of the same scope, is for the caller to see. What the memory `takes_place_of` is gone
        as it is with `add`.
        """
        ...

    async def get(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str
    ) -> Memory | None:
        """One memory of this agent, superseded or expired though it may be; None if there is none."""
        ...

    async def page(
        self,
        scope: Scope,
        selection: Selection,
        now: datetime,
        after: Mark | None,
        limit: int,
        *,
        superseded: bool = False,
    ) -> list[Memory]:
        """The next memories that hold now and are selected, newest first, by (moment, id); or also those that are
        superseded, as `count_selected` counts them.
        """
        ...

    async def replace(
        self, memory: Memory, embedding: Embedding | None, expected: int, read: Memory | None = None
    ) -> bool:
        """Put a new version, numbered one more, in the place of version `expected`, which goes into the history;
        without an embedding the vector stays, and so do id and time. False: its scope has no such version (any more),
        or it has been superseded, or brought back, since it was read, or put off since it was as `read`; nothing
        changed.
        """
        ...

    async def put_off(
        self, memory_id: MemoryId, scope: Scope, version: int, expires_at: datetime, now: datetime
    ) -> bool:
        """Let what expires do so later, which makes no version. False: the scope has no such memory at that version
        (any more), or it is superseded, or has expired, or expires later than that or never; nothing changed.
        """
        ...

    async def history(self, memory_id: MemoryId, agent_id: str, *, tenant: str) -> list[Memory]:
        """All versions, the newest first; none for a memory that this agent does not have."""
        ...

    async def supersede(
        self,
        memory_id: MemoryId,
        successor: Memory,
        embedding: Embedding,
        expected: int | None = None,
        read: Memory | None = None,
    ) -> bool:
        """Add the successor and mark the other as superseded by it since it begins, or since the other began if that
        is later; it stays, but is no longer found. False: the successor's scope has no such memory, or it is superseded
        already, or not at the `expected` version (any more), or put off since it was as `read`, or the successor's id
        is known; nothing changed.
        """
        ...

    async def count_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        """How many are selected of those that hold now, and of those that are superseded, by whatever it is."""
        ...

    async def remove_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        """Forget what `count_selected` counts, each as `MemoryStore.remove` does; answers how many these were."""
        ...

    async def erase(self, user_id: str, agent_id: str | None, now: datetime, *, tenant: str) -> Receipt:
        """Remove everything about a user, superseded, expired and former versions too, of one agent or of all."""
        ...

    async def values(self, scope: Scope, selection: Selection, path: tuple[str, ...], now: datetime) -> list[Json]:
        """What the metadata of those that hold now and are selected have at the path, each value once, in any order."""
        ...

    async def inventory(self, scope: Scope, now: datetime) -> Inventory: ...

    async def purge(self, now: datetime) -> int:
        """Remove what has expired, everywhere; answers how many. May be repeated."""
        ...

    async def spool(self, scope: Scope, spool: Spool) -> None:
        """Hand over all memories of the scope with their vectors as they are at one moment, oldest first, superseded
        and expired ones too.
        """
        ...


class CondensingStore(Protocol):
    """Finds what is due to be condensed, and puts one memory in the place of many: all of it, or nothing."""

    async def crowded(self, more_than: int, now: datetime) -> list[Scope]:
        """The scopes that hold more lasting episodic memories than that; what expires by itself does not count."""
        ...

    async def oldest(self, scope: Scope, limit: int, now: datetime, *, more_than: int = 0) -> list[Memory]:
        """The oldest lasting episodic memories that the scope holds, oldest first; none, unless it holds more of them
        than that.
        """
        ...

    async def stand_for(
        self, sources: Sequence[Memory], successor: Memory, embedding: Embedding, now: datetime
    ) -> bool:
        """Add the successor and mark every source as superseded by it; they stay, but are no longer found.

        False: not all of them are held any more as they were read, perhaps because another worker was first, or one was
        revised since; nothing changed.
        """
        ...

    async def fade(self, after: timedelta, now: datetime) -> int:
        """Mark the lasting episodic memories that have faded as superseded by nothing; answers how many."""
        ...

    async def restore(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str, now: datetime
    ) -> int:
        """Undo a supersession. One that is superseded, and was not condensed of others, is held again itself, if
        nothing stands for it; one that has faded is then important enough not to fade any more. Of any other, what it
        stands for is held again, and the memory itself is gone; but a summary that somebody has revised stays, held or
        superseded as it was, as a memory like any other: only the version that condensing made is gone.

        Answers how many are held again; 0: there is nothing to undo for this agent (and user, if
        given), nothing changed.
        """
        ...

    async def standing(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str, now: datetime
    ) -> MemoryId | None:
        """What holds now in the place of a superseded memory: what superseded it, or what superseded that, and so on,
        in its scope. None: nothing, or there is no such memory.
        """
        ...


class ReembeddingStore(Protocol):
    """Finds memories whose vectors are of another model or dimension, and gives them new ones."""

    async def claim(self, model: str, dimension: int) -> None:
        """From now on every memory is to have a vector of these, whatever was claimed before, by whomever."""
        ...

    async def claimed(self) -> tuple[str, int] | None:
        """The model and the dimension that were claimed last; None: nobody has claimed any."""
        ...

    async def outdated(self, model: str, dimension: int, limit: int) -> list[Memory]:
        """Some memories whose vector is of another model or dimension, superseded and expired ones too; none: there are
        none.

        Which ones differs from call to call, so that many workers seldom take the same.
        """
        ...

    async def reembed(self, entries: Sequence[tuple[Memory, Embedding]]) -> int:
        """Put each vector in the place of the old one, where the content is still what was embedded; answers how many.
        May be repeated; versions and histories stay as they are.
        """
        ...


class Condenser(Protocol):
    """Makes one text of many memories. It may take long, but does not block the event loop."""

    async def condense(self, memories: Sequence[Memory]) -> str:
        """A text of at most 8000 characters that keeps what they tell."""
        ...


class Embedder(Protocol):
    """Turns text into unit vectors. The same text gives the same vector, alone or beside others, for ever; as a
    question it may have another.
    """

    @property
    def model(self) -> str:
        """The identity that is stored beside every vector: two models of one name and dimension agree on every text."""
        ...

    @property
    def dimension(self) -> int: ...

    async def embed(
        self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT, asked: bool = False
    ) -> list[Embedding]:
        """One embedding per text, in order; none for none. No text is too long, and none is cut short. What is
        remembered of it makes nobody's texts faster but the `tenant`'s. A text that is `asked` is a question about the
        others, for a model that reads questions otherwise.

        May be called by many tasks at once and never blocks the event loop. The caller may keep the result,
        but must not write to it: it may be shared.
        """
        ...

    async def count(self, texts: Sequence[str]) -> int:
        """How many tokens it reads to embed them, those included that open and close a text."""
        ...
