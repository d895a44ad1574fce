"""The scopes that were searched lately, kept ready to be searched again, and never believed unasked.

Before a scope is used, the database says what has changed in it; whoever asks at the same moment shares the statement.
So a search sees all that was committed before it began, by whatever process. Where writers count what they write, a
scope whose count is what it was need not be asked for again at once.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from agent_memory.adapters.postgres.cached_scope import CachedScope
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.lane import Lane
from agent_memory.adapters.postgres.scope_check import Asked, Found, check
from agent_memory.domain.semantic.memory import Embedding, Scope

_MOST_READ = 4000  # memories in one statement, if all of what is not known well is read
_LIGHT = 400  # memories that may be brought while others wait; more have a lane of their own
_LIGHT_ROOM = 8_000_000  # bytes of the database
_HEAVIEST = 4  # a scope may take this part of the budget
_PACKED = 3  # times smaller than here, about, texts lie in the database
_MOST_REFUSED = 1000
_OF_A_MEMORY = 3000  # bytes, as a rule
_IN_USE = 60.0  # seconds for which a scope that was searched makes no room for a larger one
_IDLE = 600.0  # seconds after which a scope that nobody searches is given up


class _Entry(NamedTuple):
    scope: CachedScope
    size: int
    horizon: int
    began: datetime
    state: bytes | None  # as writers had counted before the database was asked, and when that was
    asked: float
    used: float


class _Wish(NamedTuple):
    scope: Scope
    embedding: Embedding
    most: int
    state: bytes | None
    asked: float


class ScopeCache:
    """Belongs to the event loop that asks it first; another hears None. `budget` is in bytes; with 0 it reads, but
    keeps nothing. For so many seconds a scope that nobody is counted to have written is `believed`: for so long it
    may hide what was written by somebody who does not count.
    """

    def __init__(self, database: Database, budget: int = 64_000_000, believed: float = 0.0) -> None:
        self._database = database
        self._budget = budget
        self._believed = believed
        self._entries: OrderedDict[Scope, _Entry] = OrderedDict()
        self._refused: OrderedDict[Scope, None] = OrderedDict()
        self._weight = 0
        self._outcomes: Counter[str] = Counter()
        self._light = Lane(self._read, self._cost, width=2, most=_MOST_READ)
        self._heavy = Lane(self._read, self._cost, width=1, most=_MOST_READ)
        self._loop: asyncio.AbstractEventLoop | None = None

    def size(self, scope: Scope) -> int | None:
        """How many memories a scope had when it was last read, superseded ones too; None if it is not kept."""
        entry = self._entries.get(scope)
        return entry.size if entry else None

    def takes(self, scope: Scope, size: int) -> bool:
        """Whether a scope of more than a few memories may be read: there is room beside those that are in use, and it
        was not too heavy lately.
        """
        room, in_use = self._budget - self._weight - _OF_A_MEMORY * size, time.monotonic() - _IN_USE
        for entry in self._entries.values():
            if room >= 0 or entry.used > in_use:
                break
            room += entry.scope.weight
        return room >= 0 and scope not in self._refused

    def pop_stats(self) -> Mapping[str, int]:
        """How many scopes and bytes there are, and how what was asked for was found since the last time."""
        outcomes, self._outcomes = self._outcomes, Counter()
        return {"scopes": len(self._entries), "bytes": self._weight, **outcomes}

    async def sweep(self) -> None:
        """Give up what nobody searches any more."""
        while self._entries and self._oldest.used < time.monotonic() - _IDLE:
            self._forget(next(iter(self._entries)))

    async def read(self, scope: Scope, embedding: Embedding, most: int) -> CachedScope | None:
        """The memories that are not superseded, as they are now, for what is embedded like this; None if there are more
        than `most`, superseded ones counted, or if to bring them is too much.
        """
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop.is_closed():
            self._loop = loop
        if loop is not self._loop:
            return None
        wish = _Wish(scope, embedding, most, self._database.state(scope), time.monotonic())
        if self._is_unchanged(wish):
            return self._used(wish)
        lane = self._light if most <= _LIGHT or scope in self._entries else self._heavy
        return await lane.ask((scope, embedding.model, len(embedding.vector), most), wish)

    def _is_unchanged(self, wish: _Wish) -> bool:
        """Whether what is kept need not be asked for."""
        entry = self._known(wish)
        if entry is None or entry.state is None or entry.state != wish.state:
            return False
        return wish.asked - entry.asked <= self._believed and entry.size <= wish.most

    def _used(self, wish: _Wish) -> CachedScope:
        self._outcomes["unchanged"] += 1
        entry = self._entries[wish.scope] = self._entries[wish.scope]._replace(used=wish.asked)
        self._entries.move_to_end(wish.scope)
        return entry.scope

    def _cost(self, wish: _Wish) -> int:
        """How many memories may have to be read."""
        return 0 if wish.scope in self._entries else wish.most

    async def _read(self, wishes: Sequence[_Wish]) -> list[CachedScope | None]:
        entries = [self._known(wish) for wish in wishes]
        found = await self._check(wishes, entries)
        return [await self._settled(*each) for each in zip(wishes, entries, found, strict=True)]

    def _known(self, wish: _Wish) -> _Entry | None:
        entry = self._entries.get(wish.scope)
        return entry if entry and entry.scope.fits(wish.embedding) else None

    async def _check(
        self, wishes: Sequence[_Wish], entries: Sequence[_Entry | None], *, named: bool = False
    ) -> list[Found]:
        asked = [
            Asked(wish.scope, entry.horizon, wish.most, _LIGHT, _LIGHT_ROOM, named)
            if entry
            else Asked(wish.scope, None, wish.most, wish.most, self._room(wish.most))
            for wish, entry in zip(wishes, entries, strict=True)
        ]
        return await self._database.read(lambda connection: check(connection, asked))

    def _room(self, most: int) -> int:
        return _LIGHT_ROOM if most <= _LIGHT else self._budget // _HEAVIEST // _PACKED

    async def _settled(self, wish: _Wish, entry: _Entry | None, found: Found) -> CachedScope | None:
        if not found.fits:
            self._outcomes["too_large"] += 1
            if found.size > wish.most:
                self._forget(wish.scope)
            elif entry is None:
                self._refuse(wish.scope)
            elif found.horizon != entry.horizon:  # what was unsettled would be known, if it were read now
                self._forget(wish.scope)
            return None
        if entry is None:
            self._outcomes["read"] += 1
            return self._kept(wish, CachedScope.empty(wish.scope, wish.embedding).after(0, found.fresh), found)
        # Another server, or another life of it, may number its transactions otherwise.
        cached = entry.scope.after(found.known, found.fresh) if entry.began == found.began else None
        if cached is not None:
            self._outcomes["kept" if cached is entry.scope else "changed"] += 1
            return self._kept(wish, cached, found)
        return await self._without_what_is_gone(wish, entry)

    async def _without_what_is_gone(self, wish: _Wish, entry: _Entry) -> CachedScope | None:
        """Some of what was seen is left, and the database names it; or all is read anew."""
        [found] = await self._check([wish], [entry], named=True)
        left = entry.scope.only(found.ids) if found.fits and entry.began == found.began else None
        if left is None:
            [found] = await self._check([wish], [None])
            return await self._settled(wish, None, found)
        self._outcomes["changed"] += 1
        return self._kept(wish, left.after(found.known, found.fresh), found)

    def _kept(self, wish: _Wish, cached: CachedScope | None, found: Found) -> CachedScope | None:
        self._forget(wish.scope)
        if cached is None:
            return None
        if cached.weight > self._budget // _HEAVIEST:
            self._refuse(wish.scope)
            return cached
        self._refused.pop(wish.scope, None)
        times = wish.state, wish.asked, time.monotonic()
        self._entries[wish.scope] = _Entry(cached, found.size, found.horizon, found.began, *times)
        self._weight += cached.weight
        while self._weight > self._budget:
            self._forget(next(iter(self._entries)))
        return cached

    @property
    def _oldest(self) -> _Entry:
        return next(iter(self._entries.values()))

    def _refuse(self, scope: Scope) -> None:
        self._refused[scope] = None
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)

    def _forget(self, scope: Scope) -> None:
        entry = self._entries.pop(scope, None)
        if entry is not None:
            self._weight -= entry.scope.weight
