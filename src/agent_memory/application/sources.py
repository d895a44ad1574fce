"""What is to be read, wherever it comes from: a path, an open file, or lines. No file is waited for on the event loop,
and of none is more held than is read at once.
"""

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from os import PathLike
from typing import Any, Protocol, runtime_checkable

from agent_memory.domain.semantic.documents import Entries
from agent_memory.domain.semantic.jsonl import LONGEST_LINE

_READ_AT_ONCE = 65_536
_LINES_AT_ONCE = 100


@runtime_checkable
class OpenFile(Protocol):
    """Better open for bytes: what is no UTF-8 is then refused by its line or entry."""

    def read(self, size: int, /) -> str | bytes: ...


Given = OpenFile | Iterable[str | bytes] | AsyncIterable[str | bytes]
Source = str | PathLike[str] | Given
"""A text is a path; what is iterated over gives lines."""


@asynccontextmanager
async def opened(source: Source) -> AsyncIterator[Given]:
    """A path is opened and closed; whatever else is given stays as open as it is."""
    if not isinstance(source, str | PathLike):
        yield source
        return
    file = await asyncio.to_thread(open, source, "rb")
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)


async def lines_of(given: Given, longest: int = LONGEST_LINE) -> AsyncIterator[str]:
    lines = lines_in(_bytes_of(given), longest) if _is_file(given) else _lines(given)
    async for line in lines:
        yield line


async def texts_of(given: Given) -> AsyncIterator[str]:
    """Its text, in pieces. Bytes that are no UTF-8 are lone surrogates in it, as in `lines_in`."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    async for piece in _pieces(given):
        yield piece if isinstance(piece, str) else decoder.decode(piece)
    yield decoder.decode(b"", final=True)


async def entries_in(document: Entries, texts: AsyncIterable[str]) -> AsyncGenerator[Any, None]:
    async for text in texts:
        for entry in document.read(text):
            yield entry
    for entry in document.read("", last=True):
        yield entry


def _is_file(given: Given) -> bool:
    return isinstance(given, OpenFile) and not isinstance(given, AsyncIterable)


async def _lines(given: Given) -> AsyncIterator[str]:
    async for line in _pieces(given):
        yield line if isinstance(line, str) else line.decode(errors="surrogateescape")


async def _bytes_of(given: Given) -> AsyncIterator[bytes]:
    async for piece in _pieces(given):
        yield piece.encode(errors="surrogatepass") if isinstance(piece, str) else piece


async def _pieces(given: Given) -> AsyncIterator[str | bytes]:
    """Files and lines are read in a thread: a line may be made by somebody who waits for this very loop."""
    if isinstance(given, AsyncIterable):
        async for piece in given:
            yield piece
    elif isinstance(given, OpenFile):
        while read := await asyncio.to_thread(given.read, _READ_AT_ONCE):
            yield read
    else:
        lines = iter(given)
        while some := await asyncio.to_thread(lambda: list(islice(lines, _LINES_AT_ONCE))):
            for line in some:
                yield line


async def lines_in(chunks: AsyncIterable[bytes], longest: int = LONGEST_LINE) -> AsyncIterator[str]:
    """The lines, without their ends, of bytes that come as they come. Of a line of more than `longest` characters only
    the beginning is held, as much as shows that it is too long. Bytes that are no UTF-8 are lone surrogates in them,
    by which whoever reads the line refuses it.
    """
    line, most = bytearray(), 4 * longest + 1  # bytes that are more characters than that, whatever they are
    async for chunk in chunks:
        rest, *following = chunk.split(b"\n")
        line += rest[: most - len(line)]
        for beginning in following:
            yield line.decode(errors="surrogateescape")
            line = bytearray(beginning[:most])
    yield line.decode(errors="surrogateescape")
