"""Memories out of one place and into another, line by line, with ids, times and vectors kept."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from os import SEEK_END
from tempfile import TemporaryFile
from typing import IO

from agent_memory.application.slots import Slots
from agent_memory.application.sources import Source, entries_in, lines_of, opened, texts_of
from agent_memory.application.tenancy import OfTenant
from agent_memory.domain.errors import Forbidden, InvalidInput, Unavailable
from agent_memory.domain.semantic.checks import check_text
from agent_memory.domain.semantic.foreign import (
    LONGEST_ENTITY,
    document_of_mem0,
    entries_of_mem0,
    lines_of_mcp,
    lines_of_mem0,
)
from agent_memory.domain.semantic.jsonl import bare, entry_of, line_of
from agent_memory.domain.semantic.memory import LONGEST_NAME, Embedding, Memory, MemoryId, Scope
from agent_memory.ports.semantic import Embedder, MemoryArchive

_AT_ONCE = 200
_READ_AT_ONCE = 200_000  # bytes
_READ_OUT = 2  # scopes at once, whoever asks
_MOST_SUMMARIES = 2000  # that wait for the end of an import
_MOST_NAMED = 1000

Entry = tuple[Memory, Embedding | None]
Reader = Callable[[str], Entry]


@dataclass(slots=True)
class Arrival:
    """What an import did: how many memories were kept, were known already, or were not kept since their id is that of
    another content, agent or user, or since they were condensed of what holds here; how much was no memory; and by
    their lines, why these two were not kept: of each the first thousand.

    Whatever else differs (importance, tags, metadata, versions, what superseded it) is no conflict: it changes in the
    life of one memory, by reinforcement and condensing too, and what is kept is the later.
    """

    kept: int = 0
    known: int = 0
    conflicting: int = 0
    conflicts: list[tuple[int, str]] = field(default_factory=list)
    refusals: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)

    def conflict(self, number: int, told: str) -> None:
        self.conflicting += 1
        if len(self.conflicts) < _MOST_NAMED:
            self.conflicts.append((number, told))

    def refuse(self, number: int, error: InvalidInput | Forbidden) -> None:
        self.refusals += 1
        if len(self.refused) < _MOST_NAMED:
            self.refused.append((number, str(error)))


class Transfer(OfTenant):
    """Whoever loads takes one of the `arrivals`, from the first byte to the last memory."""

    def __init__(self, archive: MemoryArchive, embedder: Embedder) -> None:
        self._archive = archive
        self._embedder = embedder
        self.arrivals = Slots("imports", of_all=4, of_one=2)
        self._departures = asyncio.Semaphore(_READ_OUT)  # each has a connection until all of it is in its file

    async def export(self, *, agent_id: str, user_id: str) -> AsyncGenerator[str, None]:
        """Every memory of the scope as a line, oldest first, superseded ones too, as they are at one moment, however
        slowly they are read: what was not read yet lies in a temporary file.
        """
        scope = self.scope(agent_id, user_id)
        try:
            with TemporaryFile() as file:
                lines = _Lines(file)
                filling = asyncio.create_task(self._fill(lines, scope))
                filling.add_done_callback(lambda task: task.cancelled() or task.exception())  # heard of, read or not
                try:
                    while (some := lines.unread()) or not filling.done():
                        for line in some:
                            yield line
                        if not some:
                            await lines.grown.wait()
                    await filling
                finally:
                    filling.cancel()
        except OSError as error:
            raise Unavailable(f"an export has no room for its temporary file: {error.strerror}") from error

    async def _fill(self, lines: "_Lines", scope: Scope) -> None:
        try:
            async with self._departures:
                await self._archive.spool(scope, lines)
        finally:
            lines.grown.set()

    async def load(self, source: Source, *, agent_id: str | None = None, user_id: str | None = None) -> Arrival:
        """Keep every line that can be kept, in commits of many; may be repeated, for known ids stay as they are. Agent
        and user are for lines that name none.
        """
        if agent_id is not None:
            check_text("agent_id", agent_id, LONGEST_NAME)
            self.reach.agent(agent_id)
        if user_id is not None:
            check_text("user_id", user_id, LONGEST_NAME)
            self.reach.user(user_id)
        async with opened(source) as given:
            return await self.load_pieces((_told(line) async for line in lines_of(given)), agent_id, user_id)

    async def load_mem0(self, source: Source, *, agent_id: str = "imported", user_id: str = "imported") -> Arrival:
        """The same of an export of mem0, whose entries are counted in place of lines; agent and user are for what names
        none.
        """
        scope, now = self.scope(agent_id, user_id), datetime.now(UTC)
        async with opened(source) as given:
            entries = entries_in(document_of_mem0(), texts_of(given))
            return await self.load_pieces(
                lines_of_mem0(memory, scope, now) async for entry in entries for memory in entries_of_mem0(entry)
            )

    async def load_mcp(self, source: Source, *, agent_id: str = "imported", user_id: str = "imported") -> Arrival:
        """The same of the file of the MCP reference server, which names no agent and no user."""
        scope, now = self.scope(agent_id, user_id), datetime.now(UTC)
        async with opened(source) as given:
            return await self.load_pieces(
                lines_of_mcp(line, scope, now) async for line in lines_of(given, LONGEST_ENTITY)
            )

    async def load_pieces(
        self, pieces: AsyncIterable[Iterable[str]], agent_id: str | None = None, user_id: str | None = None
    ) -> Arrival:
        """The same of another kind of file, each piece of which is none, one or many of our lines, or raises
        InvalidInput; what is refused is told by the number of its piece.
        """
        read = partial(entry_of, tenant=self.reach.tenant, agent_id=agent_id, user_id=user_id)
        arrival, sources = Arrival(), _Sources(self._archive)
        waiting: list[tuple[int, Entry]] = []
        summaries: list[tuple[int, Entry]] = []
        number = 0
        async for piece in pieces:
            number += 1
            for found in self._found(piece, read):
                if not isinstance(found, tuple):
                    arrival.refuse(number, found)
                    continue
                sources.note(found[0])
                late = found[0].is_summary and len(summaries) < _MOST_SUMMARIES
                (summaries if late else waiting).append((number, found))
                if len(waiting) >= _AT_ONCE:
                    await self._keep(waiting, arrival, sources)
                    waiting = []
        waiting += summaries
        for start in range(0, len(waiting), _AT_ONCE):
            await self._keep(waiting[start : start + _AT_ONCE], arrival, sources)
        return arrival

    def _found(self, piece: Iterable[str], read: Reader) -> Iterator[Entry | InvalidInput | Forbidden]:
        """A piece that cannot be read to its end says so in the place of the rest."""
        try:
            for line in piece:
                yield self._entry(line, read)
        except InvalidInput as error:
            yield error

    def _entry(self, line: str, read: Reader) -> Entry | InvalidInput | Forbidden:
        try:
            memory, embedding = read(line)
            self.scope(memory.scope.agent_id, memory.scope.user_id)
        except (InvalidInput, Forbidden) as error:
            return error
        return memory, embedding

    async def _keep(self, told: list[tuple[int, Entry]], arrival: Arrival, sources: "_Sources") -> None:
        """A vector of our own model is taken as it comes; for the others the text is embedded anew."""
        numbered = []
        for number, (memory, embedding) in told:
            if await sources.hold(memory):
                arrival.conflict(number, f"id: {memory.id} was condensed of memories that hold here; they stay")
            else:
                numbered.append((number, (memory, embedding)))
        entries = [entry for _, entry in numbered]
        strangers = [memory.content for memory, embedding in entries if not self._is_ours(embedding)]
        made = iter(await self._embedder.embed(strangers, tenant=self.reach.tenant))
        sound = [(m, e if e is not None and self._is_ours(e) else next(made)) for m, e in entries]
        new = await self._archive.add_many(sound, datetime.now(UTC))
        arrival.kept += sum(new)
        there = [(number, memory) for (number, (memory, _)), added in zip(numbered, new, strict=True) if not added]
        if there:
            await self._compare(there, arrival)

    async def _compare(self, there: list[tuple[int, Memory]], arrival: Arrival) -> None:
        agree = await self._archive.agree([memory for _, memory in there], tenant=self.reach.tenant)
        arrival.known += sum(agree)
        for (number, memory), agrees in zip(there, agree, strict=True):
            if not agrees:
                known = f"id: {memory.id} is known, with another content, agent or user; what is known stays as it is"
                arrival.conflict(number, known)

    def _is_ours(self, embedding: Embedding | None) -> bool:
        return (
            embedding is not None
            and embedding.model == self._embedder.model
            and embedding.dimension == self._embedder.dimension
        )


class _Sources:
    """What was condensed into what, as the lines tell. Where all of it was brought back since, what was condensed would
    tell it twice, and go on to when it is forgotten; where some of it is not here, nothing else tells that.
    """

    def __init__(self, archive: MemoryArchive) -> None:
        self._archive = archive
        self._of: dict[MemoryId, list[MemoryId]] = {}

    def note(self, memory: Memory) -> None:
        if memory.superseded_by is not None:
            self._of.setdefault(memory.superseded_by, []).append(memory.id)

    async def hold(self, memory: Memory) -> bool:
        """Whether it is a summary that is not here, of sources that all are."""
        named = self._of.get(memory.id)
        if not named or not memory.is_summary or await self._present(memory.id, memory.scope):
            return False
        for source in named:
            present = await self._present(source, memory.scope)
            if present is None or present.superseded_by == memory.id:
                return False
        return True

    async def _present(self, memory_id: MemoryId, scope: Scope) -> Memory | None:
        return await self._archive.get(memory_id, scope.agent_id, scope.user_id, tenant=scope.tenant)


class _Lines:
    """A spool in a file that is read from while it is filled."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._read = 0
        self.grown = asyncio.Event()

    def clear(self) -> None:
        if self._read:
            raise Unavailable("the database was away, and what was there when the export began may have changed")
        self._file.truncate(0)

    def add(self, entries: Sequence[tuple[Memory, Embedding]]) -> None:
        self._file.seek(0, SEEK_END)
        self._file.writelines(f"{line_of(memory, embedding)}\n".encode() for memory, embedding in entries)
        self._file.flush()
        self.grown.set()

    def unread(self) -> list[str]:
        """Some of it; none: there is none yet."""
        self.grown.clear()
        self._file.seek(self._read)
        lines = self._file.readlines(_READ_AT_ONCE)
        self._read = self._file.tell()
        return [line.decode().removesuffix("\n") for line in lines]


def _told(line: str) -> Iterator[str]:
    if bare(line):
        yield line
