"""What a store knows of its data to choose its way: sizes of scopes and how common words are, both a little old."""

import time
from collections import OrderedDict
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.rows import IN_SCOPE_OF, named
from agent_memory.domain.semantic.memory import Scope

_MOST_SCOPES = 10_000
_SIZE_HOLDS = 60.0  # seconds
_COMMONNESS_HOLDS = 300.0

_UP_TO = SQL("""
SELECT count(*) FROM (SELECT FROM agent_memory.memories WHERE {} LIMIT %(most)s) AS seen
""").format(SQL(IN_SCOPE_OF))
_ALL = SQL("SELECT count(*) FROM agent_memory.memories WHERE {}").format(SQL(IN_SCOPE_OF))
# What ANALYZE has found of the words in all scopes; the two last frequencies are the least and the greatest.
_COMMON: LiteralString = """
SELECT most_common_elems::text::integer[], most_common_elem_freqs FROM pg_stats
WHERE schemaname = 'agent_memory' AND tablename = 'memories' AND attname = 'words'
"""


_ABOUT: LiteralString = "SELECT reltuples FROM pg_class WHERE oid = 'agent_memory.memories'::regclass"


class Sizes:
    """How many memories a scope has: exact where it matters, which is beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[Scope, tuple[float, int]] = OrderedDict()

    def known(self, scope: Scope) -> int | None:
        """As it was counted lately, if it was."""
        counted_at, size = self._known.get(scope, (-_SIZE_HOLDS, 0))
        return size if time.monotonic() - counted_at < _SIZE_HOLDS else None

    async def of(self, connection: AsyncConnection, scope: Scope) -> int:
        size = self.known(scope)
        if size is None:
            size = await self._count(connection, scope)
            self._known[scope] = (time.monotonic(), size)
            self._known.move_to_end(scope)
            if len(self._known) > _MOST_SCOPES:
                self._known.popitem(last=False)
        return size

    async def _count(self, connection: AsyncConnection, scope: Scope) -> int:
        names = named(scope)
        [[size]] = await (await connection.execute(_UP_TO, names | {"most": self._limit + 1})).fetchall()
        if size > self._limit:
            [[size]] = await (await connection.execute(_ALL, names)).fetchall()
        return int(size)


class Commonness:
    """In what share of all memories a word is; words that are not among the commonest share the least. And about how
    many memories there are: 0 when nobody has counted yet.
    """

    def __init__(self) -> None:
        self._read_at = -_COMMONNESS_HOLDS
        self._shares: dict[int, float] = {}
        self._least = 0.0
        self.memories = 0

    async def read(self, connection: AsyncConnection) -> "Commonness":
        if time.monotonic() - self._read_at >= _COMMONNESS_HOLDS:
            rows = await (await connection.execute(_COMMON)).fetchall()
            for words, shares in rows:
                self._shares = dict(zip(words or [], shares or [], strict=False))
                self._least = min(self._shares.values(), default=0.0)
            [[memories]] = await (await connection.execute(_ABOUT)).fetchall()
            self.memories = max(0, int(memories))
            self._read_at = time.monotonic()
        return self

    def share(self, word: int) -> float:
        return self._shares.get(word, self._least / 2)
