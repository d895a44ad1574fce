"""What every `MemoryArchive` promises."""

import asyncio
import random
from array import array
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from spools import List, entries_of
from structlog.testing import capture_logs

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.domain.errors import StaleVersion
from agent_memory.domain.semantic.duplicates import Likeness, Remembered
from agent_memory.domain.semantic.filters import Equals, Exists
from agent_memory.domain.semantic.keeping import Mark
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.words import word_counts

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@asynccontextmanager
async def opened(kind, request):
    if kind == "in_memory":
        store = InMemoryMemoryStore()
        yield store, InMemoryMemoryArchive(store)
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 1, 4) as database:
            yield PostgresMemoryStore(database), PostgresMemoryArchive(database)


class Bench:
    def __init__(self, store, archive) -> None:
        self.store, self.archive = store, archive
        self.scope = Scope(f"agent-{uuid4()}", f"user-{uuid4()}")
        self.embedder = HashingEmbedder()

    def memory(self, content="a memory", hour=0, **fields) -> Memory:
        scope = fields.pop("scope", self.scope)
        return Memory(MemoryId(uuid4()), scope, content, START + hour * HOUR, **fields)

    async def entry(self, memory: Memory):
        [embedding] = await self.embedder.embed([memory.content])
        return memory, embedding

    async def keep(self, *memories: Memory) -> None:
        assert all(await self.archive.add_many([await self.entry(memory) for memory in memories]))

    async def page(self, selection=EVERYTHING, after=None, limit=100, **options):
        return await self.archive.page(self.scope, selection, NOW, after, limit, **options)

    async def found(self, query: str) -> list[Memory]:
        [embedding] = await self.embedder.embed([query])
        search = Search(self.scope, embedding, frozenset(word_counts(query)), 50, NOW)
        return [c.memory for c in (await self.store.shortlist(search)).candidates]


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def bench(request):
    async with opened(request.param, request) as parts:
        yield Bench(*parts)


async def test_keeps_many_and_tells_which_are_new(bench):
    one, two, three = [await bench.entry(bench.memory(hour=n)) for n in range(3)]
    assert await bench.archive.add_many([one, two]) == [True, True]
    assert await bench.archive.add_many([two, three, three]) == [False, True, False]
    assert await bench.store.count(bench.scope) == 3
    assert await bench.archive.add_many([]) == []


async def test_those_who_keep_the_same_in_orders_of_their_own_are_not_in_each_others_way(bench):
    await asyncio.gather(*(bench.page() for _ in range(50)))  # all the connections are there
    entries = [await bench.entry(bench.memory(hour=n)) for n in range(200)]
    orders = [random.Random(n).sample(entries, len(entries)) for n in range(4)]
    with capture_logs() as logged:
        new = await asyncio.gather(*(bench.archive.add_many(order) for order in orders))
    kept = [memory for told, order in zip(new, orders, strict=True) for memory in added(told, order)]
    assert sorted(kept) == sorted(memory.id for memory, _ in entries)
    assert logged == []


async def test_each_is_told_in_its_place_whether_it_is_new(bench):
    entries = [await bench.entry(bench.memory(hour=n)) for n in range(30)]
    known = random.Random(0).sample(entries, 15)
    await bench.archive.add_many(known)
    assert await bench.archive.add_many(entries) == [entry not in known for entry in entries]


def added(told, order):
    return [memory.id for new, (memory, _) in zip(told, order, strict=True) if new]


async def adding(bench, entry):
    return await bench.store.add(*entry, NOW)


async def adding_many(bench, entry):
    return await bench.archive.add_many([entry], NOW) == [True]


async def telling_many(bench, entry):
    return await bench.archive.tell_many([entry], NOW) == [[]]


async def reinforcing(bench, entry):
    return (await bench.archive.reinforce(*entry, NOW)).added


WAYS = [adding, adding_many, telling_many, reinforcing]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("of_another", [False, True])
@pytest.mark.parametrize("superseded", [None, START])
async def test_what_has_expired_makes_room_as_if_it_were_purged(bench, way, of_another, superseded):
    """Its history and what it was told by go with it, whosesoever it was."""
    scope = replace(bench.scope, user_id="another") if of_another else bench.scope
    over = bench.memory("the red boat", scope=scope)
    await bench.keep(over)
    again = await bench.entry(bench.memory("The red boat.", 1, scope=scope))
    told = (await bench.archive.reinforce(*again, NOW)).memory
    assert (told.id, told.version) == (over.id, 2)
    ended = replace(told, version=3, expires_at=NOW)
    assert await bench.archive.replace(ended, None, 2)
    if superseded:
        assert await bench.archive.supersede(over.id, *await bench.entry(bench.memory("a cat", 2, scope=scope)))
    new = bench.memory("the blue boat", 9, expires_at=NOW + HOUR)
    new = replace(new, id=over.id)
    assert await way(bench, await bench.entry(new))
    assert not await way(bench, await bench.entry(new))
    assert await bench.archive.history(over.id, bench.scope.agent_id, tenant="default") == [new]
    assert new in await bench.found("boat")
    assert over not in await bench.archive.page(scope, EVERYTHING, NOW, None, 9)
    assert (await bench.archive.reinforce(*again, NOW)).added


@pytest.mark.parametrize("way", WAYS)
async def test_what_has_not_expired_or_is_over_itself_makes_no_room(bench, way):
    kept = [bench.memory("the red boat", hour, expires_at=end) for hour, end in enumerate([None, NOW + HOUR, NOW])]
    await bench.keep(*kept)
    for known, end in zip(kept, [None, None, NOW], strict=True):
        assert not await way(bench, await bench.entry(replace(known, content="a cat", expires_at=end)))
        assert await bench.archive.get(known.id, bench.scope.agent_id, tenant="default") == known


async def test_what_was_told_by_an_id_makes_room_for_it_when_it_has_expired(bench):
    known = bench.memory("the red boat")
    await bench.keep(known)
    again = bench.memory("The red boat.", 1)
    told = (await bench.archive.reinforce(*await bench.entry(again), NOW)).memory
    assert await bench.archive.replace(replace(told, version=3, expires_at=NOW), None, 2)
    assert await bench.archive.reinforce(*await bench.entry(again), NOW) == Remembered(again, added=True)
    assert await bench.archive.get(known.id, bench.scope.agent_id, tenant="default") is None


async def test_another_tenants_expired_memory_makes_no_room(bench):
    theirs = bench.memory("the red boat", scope=replace(bench.scope, tenant="another"), expires_at=NOW)
    await bench.keep(theirs)
    entry = await bench.entry(replace(theirs, scope=bench.scope, expires_at=None))
    assert [await way(bench, entry) for way in WAYS] == [True, False, False, False]
    assert await bench.archive.get(theirs.id, bench.scope.agent_id, tenant="another") == theirs


async def test_of_many_who_take_an_expired_place_one_does(bench):
    over = bench.memory("the red boat", expires_at=NOW)
    await bench.keep(over)
    entries = [await bench.entry(replace(over, content=f"boat {n}", expires_at=None)) for n in range(6)]
    ways = [adding, adding_many, telling_many] * 2
    told = await asyncio.gather(*(way(bench, entry) for way, entry in zip(ways, entries, strict=True)))
    assert sorted(told) == [False] * 5 + [True]
    assert await bench.page() == [entries[told.index(True)][0]]


async def test_tells_what_agrees_with_what_is_kept_under_its_id(bench):
    kept = bench.memory("the r\u00e9d boat", 1, tags=frozenset({"a"}))
    superseded = bench.memory("the old boat", 2, superseded_at=NOW)
    await bench.keep(kept, superseded)
    agent, user, tenant = bench.scope.agent_id, bench.scope.user_id, bench.scope.tenant
    told = [
        (kept, True), (superseded, True), (replace(kept, content="the red boat"), False),
        (replace(kept, tags=frozenset(), importance=2, metadata={"a": 1}, version=9, created_at=START), True),
        (replace(kept, id=superseded.id), False), (bench.memory("the r\u00e9d boat", 1), False),
        (replace(kept, scope=Scope(agent, "other", tenant)), False),
        (replace(kept, scope=Scope("other", user, tenant)), False), (kept, True),
    ]  # fmt: skip
    assert await bench.archive.agree([memory for memory, _ in told], tenant=tenant) == [agrees for _, agrees in told]
    assert await bench.archive.agree([kept], tenant="another") == [False]
    assert await bench.archive.agree([], tenant=tenant) == []


async def test_counts_what_holds_now_as_it_is_listed_and_all_that_is_kept(bench):
    first, second = [await bench.entry(bench.memory(hour=n)) for n in range(2)]
    faded = await bench.entry(bench.memory(superseded_at=NOW))
    over, ending = [await bench.entry(bench.memory(expires_at=NOW + timedelta(days=days))) for days in (0, 1)]
    await bench.archive.add_many([first, second, faded, over, ending])
    await bench.archive.supersede(first[0].id, *await bench.entry(bench.memory(content="newer")))
    assert (await bench.store.count(bench.scope, NOW), await bench.store.count(bench.scope)) == (3, 6)
    listed = await bench.archive.page(bench.scope, EVERYTHING, NOW, None, 50)
    assert len(listed) == (await bench.archive.inventory(bench.scope, NOW)).memories == 3


async def test_gets_one_memory_of_its_agent(bench):
    memory = bench.memory(tags=frozenset({"x"}), metadata={"a": 1}, expires_at=START)
    await bench.keep(memory)
    assert await bench.archive.get(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant) == memory
    assert (
        await bench.archive.get(memory.id, bench.scope.agent_id, bench.scope.user_id, tenant=bench.scope.tenant)
        == memory
    )
    assert await bench.archive.get(memory.id, bench.scope.agent_id, "another", tenant=bench.scope.tenant) is None
    assert await bench.archive.get(memory.id, "another", tenant=bench.scope.tenant) is None
    assert await bench.archive.get(MemoryId(uuid4()), bench.scope.agent_id, tenant=bench.scope.tenant) is None


async def test_lists_page_by_page_newest_first(bench):
    memories = [bench.memory(f"number {n}", hour=n // 2) for n in range(7)]  # pairs share their time
    await bench.keep(*memories)
    pages, after = [], None
    while page := await bench.page(after=after, limit=3):
        pages.append(page)
        after = Mark.after(page[-1])
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [memory for page in pages for memory in page] == sorted(
        memories, key=lambda m: (m.created_at, m.id), reverse=True
    )


async def test_lists_what_is_selected_and_holds(bench):
    wanted = bench.memory("a", tags=frozenset({"x"}))
    await bench.keep(wanted, bench.memory("b"), bench.memory("c", tags=frozenset({"x"}), expires_at=START))
    assert await bench.page(Selection(tags=frozenset({"x"}))) == [wanted]


async def test_lists_what_is_superseded_if_asked(bench):
    old, faded = bench.memory(tags=frozenset({"home"})), bench.memory(hour=2, superseded_at=START)
    await bench.keep(old, faded, bench.memory(hour=3, expires_at=START))
    new = bench.memory(hour=4)
    await bench.archive.supersede(old.id, *await bench.entry(new))
    shown = await bench.page(superseded=True)
    assert [memory.id for memory in shown] == [new.id, faded.id, old.id]
    assert await bench.page(superseded=True, after=Mark.after(faded)) == [shown[2]]
    assert await bench.page(Selection(tags=frozenset({"home"})), superseded=True) == [shown[2]]
    assert await bench.page() == [new]


async def test_replaces_and_remembers_what_was(bench):
    first = bench.memory("She lives in Oslo", tags=frozenset({"home"}), metadata={"sure": True})
    await bench.keep(first)
    second = replace(first, content="She lives in Lima", version=2, importance=2.0, metadata={})
    assert await bench.archive.replace(*await bench.entry(second), expected=1)
    assert await bench.archive.get(first.id, bench.scope.agent_id, tenant=bench.scope.tenant) == second
    assert await bench.archive.history(first.id, bench.scope.agent_id, tenant=bench.scope.tenant) == [second, first]
    assert await bench.archive.history(first.id, "another", tenant=bench.scope.tenant) == []
    [entry] = await entries_of(bench.archive, bench.scope)
    assert entry[1].vector == pytest.approx((await bench.entry(second))[1].vector, abs=1e-3)


async def test_every_version_tells_since_when_it_was_so(bench):
    first = bench.memory("She lives in Oslo")
    await bench.keep(first)
    second = replace(first, content="She lives in Lima", version=2, revised_at=START + HOUR)
    third = replace(second, importance=2.0, version=3, revised_at=START + 2 * HOUR)
    for version in (second, third):
        assert await bench.archive.replace(version, None, version.version - 1)
    versions = await bench.archive.history(first.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert [version.updated_at for version in versions] == [START + n * HOUR for n in (2, 1, 0)]
    assert versions == [third, second, first]
    assert await bench.page() == await bench.found("Lima") == [third]
    [(kept, _)] = await entries_of(bench.archive, bench.scope)
    assert kept == third


async def test_what_supersedes_a_memory_does_not_update_it(bench):
    old = bench.memory("She lives in Oslo", revised_at=START + HOUR, version=2)
    await bench.keep(old)
    assert await bench.archive.supersede(old.id, *await bench.entry(bench.memory("She lives in Lima", hour=5)))
    marked = await bench.archive.get(old.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert (marked.superseded_at, marked.updated_at) == (START + 5 * HOUR, START + HOUR)


async def test_what_is_told_again_is_updated_then(bench):
    known = bench.memory("the red boat")
    await bench.keep(known)
    told = await bench.archive.reinforce(*await bench.entry(bench.memory("The red boat.", hour=3)), NOW)
    assert (told.memory.version, told.memory.updated_at) == (2, START + 3 * HOUR)
    assert await bench.page() == [told.memory]


async def test_the_least_importance_is_kept(bench):
    first = bench.memory("She lives in Oslo", importance=1e-310)
    await bench.keep(first)
    assert await bench.archive.replace(replace(first, version=2, importance=2e-320), None, expected=1)
    kept = await bench.archive.history(first.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert [memory.importance for memory in kept] == pytest.approx([0, 0])


async def test_what_expires_is_put_off_without_a_version(bench):
    memory = bench.memory(expires_at=NOW + HOUR)
    await bench.keep(memory)
    assert await bench.archive.put_off(memory.id, bench.scope, 1, NOW + 3 * HOUR, NOW)
    put_off = replace(memory, expires_at=NOW + 3 * HOUR)
    assert await bench.archive.history(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant) == [put_off]
    assert await bench.found("memory") == [put_off]
    assert not await bench.archive.put_off(memory.id, bench.scope, 1, NOW + 2 * HOUR, NOW)
    assert await bench.page() == [put_off]


async def test_only_what_expires_is_put_off_where_it_was_read(bench):
    elsewhere, for_ever = replace(bench.scope, tenant="another"), bench.memory("for ever")
    memory, faded = [bench.memory(expires_at=NOW + HOUR, superseded_at=at) for at in (None, NOW)]
    other, further = replace(memory, scope=elsewhere), replace(bench.scope, user_id="somebody else")
    await bench.keep(memory, faded, other, for_ever)
    later = NOW + 2 * HOUR
    for which, scope, version in (
        (uuid4(), bench.scope, 1), (memory.id, further, 1), (memory.id, bench.scope, 2), (faded.id, bench.scope, 1),
        (for_ever.id, bench.scope, 1),
    ):  # fmt: skip
        assert not await bench.archive.put_off(which, scope, version, later, NOW)
    assert await bench.archive.put_off(memory.id, bench.scope, 1, later, NOW)
    agent = bench.scope.agent_id
    kept = [await bench.archive.get(each.id, agent, tenant=each.scope.tenant) for each in (other, faded, for_ever)]
    assert kept == [other, faded, for_ever]


async def test_what_has_expired_is_not_put_off(bench):
    memory = bench.memory(expires_at=NOW)
    await bench.keep(memory)
    assert not await bench.archive.put_off(memory.id, bench.scope, 1, NOW + HOUR, NOW)
    assert await bench.archive.get(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant) == memory
    assert await bench.archive.put_off(memory.id, bench.scope, 1, NOW + HOUR, NOW - HOUR)


async def test_a_later_end_is_not_lost_to_who_has_read_the_one_before(bench):
    read = bench.memory(expires_at=NOW + HOUR)
    await bench.keep(read)
    assert await bench.archive.put_off(read.id, bench.scope, 1, NOW + 3 * HOUR, NOW)
    put_off = replace(read, expires_at=NOW + 3 * HOUR)
    successor = await bench.entry(bench.memory("another"))
    assert not await bench.archive.replace(replace(read, version=2), None, 1, read)
    assert not await bench.archive.supersede(read.id, *successor, 1, read)
    assert await bench.page() == [put_off]
    assert await bench.archive.replace(replace(put_off, version=2), None, 1, put_off)
    assert await bench.archive.supersede(read.id, *successor, 2, put_off)


async def test_replaces_without_a_new_vector(bench):
    first = bench.memory("She lives in Oslo")
    await bench.keep(first)
    assert await bench.archive.replace(replace(first, version=2, tags=frozenset({"x"})), None, expected=1)
    [(second, embedding)] = await entries_of(bench.archive, bench.scope)
    assert second.tags == {"x"}
    assert embedding.vector == pytest.approx((await bench.entry(first))[1].vector, abs=1e-3)


async def test_of_many_who_replace_one_version_one_succeeds(bench):
    memory = bench.memory()
    await bench.keep(memory)
    tries = [bench.archive.replace(replace(memory, version=2, importance=n / 10), None, 1) for n in range(8)]
    assert sorted(await asyncio.gather(*tries)) == [False] * 7 + [True]
    assert len(await bench.archive.history(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant)) == 2


async def test_what_is_superseded_stays_but_is_not_found(bench):
    old = bench.memory("She lives in Oslo")
    await bench.keep(old)
    new = bench.memory("She lives in Lima", hour=5)
    assert await bench.archive.supersede(old.id, *await bench.entry(new))
    marked = await bench.archive.get(old.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert (marked.superseded_by, marked.superseded_at) == (new.id, new.created_at)
    assert await bench.found("Where does she live?") == [new]
    assert await bench.page() == [new]
    assert len(await entries_of(bench.archive, bench.scope)) == 2


async def test_a_version_changes_neither_scope_nor_time(bench):
    memory = bench.memory()
    await bench.keep(memory)
    late = replace(memory, created_at=START + 9 * HOUR, version=2)
    for stray in (Scope(bench.scope.agent_id, "another"), Scope("another", bench.scope.user_id, bench.scope.tenant)):
        assert not await bench.archive.replace(replace(late, scope=stray), None, 1)
    assert await bench.archive.replace(late, None, 1)
    kept = await bench.archive.get(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert (kept.scope, kept.created_at, kept.version) == (memory.scope, memory.created_at, 2)


async def test_what_is_superseded_never_ends_before_it_begins(bench):
    old, new = bench.memory("She lives in Oslo", hour=5), bench.memory("She lives in Lima", hour=1)
    await bench.keep(old)
    assert await bench.archive.supersede(old.id, *await bench.entry(new))
    marked = await bench.archive.get(old.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert marked.superseded_at == old.begins


async def test_importance_comes_back_as_it_went_in(bench):
    memory = bench.memory("She lives in Oslo", importance=0.3)
    await bench.keep(memory)
    assert [each.importance for each in await bench.found("Oslo")] == [0.3]


async def test_moments_come_back_as_they_went_in(bench):
    told = datetime.fromisoformat("2026-01-01T00:00:00+02:00")
    memory = bench.memory(event_time=told, expires_at=told + 9000 * HOUR)
    await bench.keep(memory)
    revised = replace(memory, version=2, revised_at=told + HOUR)
    assert await bench.archive.replace(revised, None, 1)
    given = await bench.archive.get(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert given == revised
    for name in ("created_at", "event_time", "expires_at", "revised_at"):
        assert getattr(given, name).isoformat() == getattr(revised, name).isoformat()


async def test_supersedes_once_and_within_its_scope(bench):
    old, foreign = bench.memory(), bench.memory(scope=Scope(bench.scope.agent_id, "another"))
    await bench.keep(old)
    assert not await bench.archive.supersede(old.id, *await bench.entry(foreign))
    tries = [bench.archive.supersede(old.id, *await bench.entry(bench.memory(hour=n))) for n in range(1, 6)]
    assert sorted(await asyncio.gather(*tries)) == [False] * 4 + [True]
    assert await bench.store.count(bench.scope) == 2


async def test_supersedes_the_version_that_was_read_by_what_is_new(bench):
    old, other = bench.memory("old"), bench.memory("other")
    await bench.keep(old, other)
    successor = await bench.entry(bench.memory("new"))
    assert await bench.archive.replace(replace(old, version=2, tags=frozenset({"a"})), None, 1)
    assert not await bench.archive.supersede(old.id, *successor, 1)
    assert not await bench.archive.supersede(old.id, *await bench.entry(other), 2)
    assert {memory.content for memory in await bench.page()} == {"old", "other"}
    assert await bench.archive.supersede(old.id, *successor, 2)


@pytest.mark.parametrize("stands_for_it", [None, MemoryId(uuid4())])
async def test_of_many_who_revise_and_forget_a_version_one_succeeds(bench, stands_for_it):
    for _ in range(4):
        old = bench.memory("old", superseded_by=stands_for_it, superseded_at=stands_for_it and START)
        await bench.keep(old)
        done = await asyncio.gather(
            *(bench.archive.replace(replace(old, version=2), None, 1) for _ in range(2)),
            *(bench.store.remove(old.id, bench.scope.agent_id, tenant="default", version=1) for _ in range(2)),
            return_exceptions=True,
        )
        present = await bench.archive.get(old.id, bench.scope.agent_id, tenant="default")
        assert [each for each in done if each is True] == [True]
        assert (present is None) == (True in done[2:])
        assert all(isinstance(each, bool | StaleVersion) for each in done)


async def test_forgets_what_is_selected(bench):
    kept, *gone = [bench.memory(f"note {n}", hour=n, memory_type=MemoryType.SEMANTIC) for n in range(4)]
    await bench.keep(kept, *gone, bench.memory("of another type"))
    selection = Selection(MemoryType.SEMANTIC, since=gone[0].created_at)
    assert await bench.archive.count_selected(bench.scope, selection, NOW) == 3
    assert await bench.archive.remove_selected(bench.scope, selection, NOW) == 3
    assert await bench.archive.count_selected(bench.scope, selection, NOW) == 0
    assert await bench.store.count(bench.scope) == 2


async def test_what_is_superseded_is_forgotten_with_what_is_selected(bench):
    """It is in an export and answers `as_of`, though no list shows it."""
    health, ill = bench.memory("Ada is well."), bench.memory("Ada has diabetes.", tags=frozenset({"health"}))
    faded = bench.memory("Ada was ill.", tags=frozenset({"health"}), superseded_at=START)
    expired = bench.memory("Ada had a cold.", tags=frozenset({"health"}), expires_at=START + HOUR)
    await bench.keep(ill, faded, expired)
    await bench.archive.supersede(ill.id, *await bench.entry(health))
    selection = Selection(tags=frozenset({"health"}))
    assert await bench.archive.count_selected(bench.scope, selection, NOW) == 2
    assert await bench.archive.remove_selected(bench.scope, selection, NOW) == 2
    assert [m for m, _ in await entries_of(bench.archive, bench.scope)] in ([health, expired], [expired, health])
    assert await bench.archive.remove_selected(bench.scope, EVERYTHING, NOW) == 1


async def test_erases_a_user_of_one_agent_or_of_all(bench):
    elsewhere = Scope(f"agent-{uuid4()}", bench.scope.user_id)
    memory = bench.memory()
    await bench.keep(memory, bench.memory(expires_at=START), bench.memory(scope=elsewhere))
    await bench.archive.replace(replace(memory, version=2), None, 1)
    receipt = await bench.archive.erase(bench.scope.user_id, bench.scope.agent_id, NOW, tenant=bench.scope.tenant)
    assert (receipt.memories, receipt.versions, receipt.erased_at) == (2, 1, NOW)
    assert await bench.store.count(elsewhere) == 1
    assert (await bench.archive.erase(bench.scope.user_id, None, NOW, tenant=bench.scope.tenant)).memories == 1
    assert (await bench.archive.erase(bench.scope.user_id, None, NOW, tenant=bench.scope.tenant)).memories == 0


async def test_tells_what_there_is_at_a_path_of_the_metadata(bench):
    told = [
        {"n": ["a", "b"]},
        {"n": ["a", "b"], "x": 1},
        {"n": ["a"], "x": 1.0},
        {"n": "a", "x": True},
        {"x": None},
        {},
    ]
    await bench.keep(*(bench.memory(metadata=metadata) for metadata in told))
    other = Scope(bench.scope.agent_id, "other", bench.scope.tenant)
    await bench.keep(bench.memory(metadata={"n": "other"}, scope=other))
    await bench.keep(bench.memory(metadata={"n": "expired"}, expires_at=NOW))
    former = bench.memory(metadata={"n": "superseded"})
    await bench.keep(former)
    await bench.archive.supersede(former.id, *await bench.entry(bench.memory(hour=3)))

    async def values(path, selection=EVERYTHING):
        return sorted(map(repr, await bench.archive.values(bench.scope, selection, path, NOW)))

    assert await values(("n",)) == ["'a'", "['a', 'b']", "['a']"]
    assert len(await values(("x",))) == 3  # 1 is 1.0, but not true, and null is there
    assert await values(("n", "0")) == ["'a'"]
    assert await values(("n",), Selection(metadata=Exists(("x",)))) == ["'a'", "['a', 'b']", "['a']"]
    assert await values(("n",), Selection(metadata=Equals(("n", "1"), "b"))) == ["['a', 'b']"]
    assert await values(("nothing",)) == []


async def test_takes_an_inventory(bench):
    old = bench.memory("äbc")
    await bench.keep(
        old,
        bench.memory("de", hour=1, tags=frozenset({"x", "y"}), memory_type=MemoryType.SEMANTIC),
        bench.memory("f", hour=2, tags=frozenset({"x"})),
        bench.memory("expired", expires_at=NOW),
    )
    await bench.archive.supersede(old.id, *await bench.entry(bench.memory("ghi", hour=3)))
    inventory = await bench.archive.inventory(bench.scope, NOW)
    assert inventory.memories == 3
    assert dict(inventory.by_type) == {MemoryType.SEMANTIC: 1, MemoryType.EPISODIC: 2}
    assert dict(inventory.by_tag) == {"x": 2, "y": 1}
    assert (inventory.characters, inventory.superseded, inventory.expired) == (6, 1, 1)
    assert (inventory.oldest, inventory.newest) == (START + HOUR, START + 3 * HOUR)


async def test_an_empty_scope_has_an_empty_inventory(bench):
    inventory = await bench.archive.inventory(bench.scope, NOW)
    assert (inventory.memories, inventory.oldest, dict(inventory.by_type)) == (0, None, {})


async def test_purges_what_has_expired(bench):
    await bench.keep(bench.memory(expires_at=NOW), bench.memory(expires_at=NOW + HOUR), bench.memory())
    assert await bench.archive.purge(NOW) >= 1
    assert await bench.store.count(bench.scope) == 2


async def test_gives_everything_with_its_vectors_oldest_first(bench):
    memories = [bench.memory(f"number {n}", hour=n) for n in range(450)]
    await bench.keep(*memories)
    entries = await entries_of(bench.archive, bench.scope)
    assert [memory for memory, _ in entries] == memories
    for memory, embedding in entries:
        expected = (await bench.entry(memory))[1]
        assert embedding.model == expected.model
        assert embedding.vector == pytest.approx(expected.vector, abs=1e-3)


class Meddling(List):
    """Something happens while the first of it is taken."""

    def __init__(self, meddle) -> None:
        super().__init__()
        self.meddle = meddle

    def add(self, entries) -> None:
        super().add(entries)
        meddle, self.meddle = self.meddle, lambda: None
        meddle()


@pytest.mark.integration
async def test_what_changes_meanwhile_is_as_it_was(conninfo):
    async with connection.opened(conninfo, 1, 1) as database:
        bench = Bench(PostgresMemoryStore(database), PostgresMemoryArchive(database))
        memories = [bench.memory(f"number {n}", hour=n) for n in range(450)]
        await bench.keep(*memories)

        def move_the_last_before_the_first() -> None:
            with psycopg.connect(conninfo) as another:
                change = "UPDATE agent_memory.memories SET event_time = %s WHERE id = %s"
                assert another.execute(change, [START - HOUR, memories[-1].id]).rowcount == 1

        spool = Meddling(move_the_last_before_the_first)
        await bench.archive.spool(bench.scope, spool)
        assert [memory for memory, _ in spool.entries] == memories


@pytest.mark.integration
async def test_what_is_handed_over_begins_anew_when_the_connection_is_lost(conninfo):
    async with connection.opened(conninfo, 1, 1) as database:
        bench = Bench(PostgresMemoryStore(database), PostgresMemoryArchive(database))
        memories = [bench.memory(f"number {n}", hour=n) for n in range(3)]
        await bench.keep(*memories)

        def lose() -> None:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        spool = Meddling(lose)
        await bench.archive.spool(bench.scope, spool)
        assert [memory for memory, _ in spool.entries] == memories


async def test_finds_what_says_nearly_the_same(bench):
    same, near, far = (
        bench.memory(text, hour)
        for hour, text in enumerate(
            ["the red boat lies in the harbour", "the red boat lies in our harbour", "interest rates rise"]
        )
    )
    await bench.keep(same, near, far)
    memory, embedding = await bench.entry(bench.memory("the red boat lies in the harbour", 9))
    found = await bench.archive.alike(memory, embedding, NOW)
    assert [like.memory for like in found] == [same, near]
    assert found[0].similarity == 1 > found[1].similarity >= 0.9


async def test_likeness_ends_at_scopes_and_validity_and_itself(bench):
    gone = bench.memory("the red boat", expires_at=NOW)
    other = bench.memory("the red boat", scope=Scope(bench.scope.agent_id, "another"))
    itself = bench.memory("the red boat", 1)
    await bench.keep(gone, other, itself)
    assert await bench.archive.alike(*await bench.entry(itself), NOW) == []


async def test_among_many_each_has_what_was_there_and_what_came_before_it(bench):
    known = bench.memory("the red boat lies in the harbour")
    await bench.keep(known, bench.memory("interest rates rise"))
    texts = ["the red boat lies in our harbour", "a cat", "the red boat lies in the harbour", "rain in May", "a cat"]
    batch = [bench.memory(text, hour) for hour, text in enumerate(texts, 1)]
    told = await bench.archive.tell_many([await bench.entry(memory) for memory in batch], NOW)
    assert [[like.memory for like in near] for near in told] == [[known], [], [known, batch[0]], [], [batch[1]]]
    assert [like.similarity for like in told[2]] == [1, pytest.approx(told[0][0].similarity, abs=2e-3)]
    assert 0.9 <= told[0][0].similarity < 1 == told[4][0].similarity
    assert await bench.store.count(bench.scope) == 7


async def test_among_many_what_was_known_or_holds_no_more_is_near_nothing(bench):
    other = replace(bench.scope, tenant="another")
    known, gone = bench.memory("the red boat"), bench.memory("the red boat", expires_at=NOW)
    await bench.keep(known, gone, bench.memory("the red boat", scope=other))
    taken = replace(bench.memory("the red boat!"), id=known.id)
    over, first, second = bench.memory("the boat, red", expires_at=NOW), bench.memory("a"), bench.memory("the red boat")
    entries = [await bench.entry(memory) for memory in (taken, over, first, first, second)]
    told = await bench.archive.tell_many(entries, NOW)
    assert [near and [like.memory for like in near] for near in told] == [None, [known], [], None, [known]]
    assert await bench.archive.tell_many([], NOW) == []


async def test_among_many_no_more_are_reported_than_of_one(bench):
    """The first of the very same words, and before what is only near."""
    before = [bench.memory("Ada went to the gym", hour) for hour in range(3)]
    await bench.keep(*before, bench.memory("Ada went to the GYM", 4))
    batch = [bench.memory("Ada went to the gym", hour) for hour in range(5, 10)]
    told = await bench.archive.tell_many([await bench.entry(memory) for memory in batch], NOW)
    assert [like.memory for like in told[1]][:4] == [*before, batch[0]]
    assert [like.similarity == 1 for like in told[1]] == [True] * 4 + [False]
    assert [like.memory for like in told[4]] == [*before, *batch[:2]]


async def test_only_vectors_of_the_same_model_are_near_among_many(bench):
    memory = bench.memory("the red boat lies in the harbour")
    [small] = await HashingEmbedder(64).embed([memory.content])
    [foreign] = await HashingEmbedder().embed([memory.content])
    await bench.archive.add_many([(memory, small), (bench.memory("the red boat lies in a harbour"), foreign)])
    await bench.archive.add_many([(bench.memory("the red boat lies in my harbour"), replace(foreign, model="other"))])
    [near] = await bench.archive.tell_many([await bench.entry(bench.memory("The red boat lies in the harbour"))], NOW)
    assert [like.memory.content for like in near] == ["the red boat lies in a harbour"]


async def near_of_three_ways(bench, memory, embedding):
    """Who is near it: alone, among many, and where it would be told again."""
    memories = [replace(memory, id=MemoryId(uuid4())) for _ in range(2)]
    found = [await bench.archive.alike(memory, embedding, NOW)]
    found += await bench.archive.tell_many([(memories[0], embedding)], NOW)
    found.append((await bench.archive.reinforce(memories[1], embedding, NOW)).near)
    return [{like.memory.content for like in near} - {memory.content} for near in found]


async def test_vectors_of_another_dimension_of_the_model_are_near_nothing(bench):
    memory = bench.memory("the red boat lies in the harbour")
    [small] = await HashingEmbedder(64).embed([memory.content])
    await bench.archive.add_many([(memory, Embedding(bench.embedder.model, small.vector))])
    told = await bench.entry(bench.memory("The red boat lies in the harbour"))
    assert await near_of_three_ways(bench, *told) == [set(), set(), set()]


async def test_vectors_without_a_length_are_near_nothing(bench):
    nothing = Embedding(bench.embedder.model, array("f", [0.0] * bench.embedder.dimension))
    await bench.archive.add_many([(bench.memory("???"), nothing)])
    await bench.keep(bench.memory("the red boat lies in the harbour"))
    told = await bench.entry(bench.memory("The red boat lies in a harbour"))
    assert await near_of_three_ways(bench, *told) == [{"the red boat lies in the harbour"}] * 3
    assert await near_of_three_ways(bench, bench.memory("!!!"), nothing) == [set(), set(), set()]


async def test_of_many_who_tell_the_same_at_once_one_adds_it(bench):
    texts = ["the red boat lies in the harbour", "The red boat lies in the harbour."] * 12
    entries = [await bench.entry(bench.memory(text, hour=n, tags=frozenset({f"t{n}"}))) for n, text in enumerate(texts)]
    told = await asyncio.gather(*(bench.archive.reinforce(*entry, NOW) for entry in entries))
    assert [each.added for each in told].count(True) == 1
    assert sorted(each.memory.version for each in told) == list(range(1, 25))
    [left] = await bench.page()
    assert (left.version, len(left.tags)) == (24, 24)
    assert len(await bench.archive.history(left.id, bench.scope.agent_id, tenant=bench.scope.tenant)) == 24


async def test_the_same_id_reinforces_once_at_once_and_later(bench):
    known = bench.memory("the red boat")
    await bench.keep(known)
    entry = await bench.entry(bench.memory("The red boat.", 1))
    told = await asyncio.gather(*(bench.archive.reinforce(*entry, NOW) for _ in range(6)))
    assert {(each.memory.id, each.memory.version, each.added) for each in told} == {(known.id, 2, False)}
    revised = replace(told[0].memory, content="the blue boat", version=3)
    assert await bench.archive.replace(revised, None, 2)
    assert (await bench.archive.reinforce(*entry, NOW)).memory == revised
    assert await bench.store.remove(known.id, bench.scope.agent_id, tenant=bench.scope.tenant)
    assert (await bench.archive.reinforce(*entry, NOW)).added


async def test_what_holds_no_more_or_is_of_another_scope_is_not_told_again(bench):
    scope = Scope(bench.scope.agent_id, "another")
    await bench.keep(bench.memory("the red boat", expires_at=NOW), bench.memory("the red boat", scope=scope))
    other_tenants = bench.memory("the red boat", scope=replace(bench.scope, tenant="another"))
    await bench.keep(other_tenants)
    entry = await bench.entry(replace(other_tenants, scope=bench.scope))
    assert await bench.archive.reinforce(*entry, NOW) == Remembered(entry[0], added=True)


async def test_many_of_the_same_words_hide_none_of_that_time(bench):
    days = [bench.memory("Ada went to the gym", event_time=START + day * 24 * HOUR) for day in range(60)]
    await bench.keep(*days)
    for day in (0, 31, 59):
        told = bench.memory("Ada went to the gym", 1, event_time=days[day].event_time)
        assert (await bench.archive.reinforce(*await bench.entry(told), NOW)).memory.id == days[day].id
    new = bench.memory("Ada went to the gym", 1, event_time=START - HOUR)
    told = await bench.archive.reinforce(*await bench.entry(new), NOW)
    assert (told.added, len(told.near)) == (True, 5)


async def test_tenants_share_names_and_ids_and_never_meet(bench):
    """The same agent, user and id: everything that is done to one leaves the other as it is."""
    agent, user, other = bench.scope.agent_id, bench.scope.user_id, replace(bench.scope, tenant="another")
    mine = bench.memory("the red boat")
    theirs = replace(mine, scope=other)
    await bench.keep(mine, theirs)
    assert await bench.archive.add_many([await bench.entry(theirs)]) == [False]
    assert await bench.archive.get(mine.id, agent, tenant="a-third") is None
    assert await bench.archive.history(mine.id, agent, tenant="a-third") == []
    assert await bench.archive.alike(*await bench.entry(bench.memory("the red boat", scope=other)), NOW) == [
        Likeness(theirs, 1.0)
    ]
    entry = await bench.entry(bench.memory("the red boat", scope=other))
    assert await bench.archive.tell_many([entry], NOW) == [[Likeness(theirs, 1.0)]]
    assert await bench.store.remove(entry[0].id, agent, tenant="another")
    changed = replace(theirs, content="the blue boat", version=2)
    assert await bench.archive.replace(changed, None, 1)
    assert await bench.archive.history(mine.id, agent, tenant="another") == [changed, theirs]
    assert await bench.archive.history(mine.id, agent, tenant=mine.scope.tenant) == [mine]
    successor = bench.memory("the green boat", 1, scope=other)
    assert await bench.archive.supersede(mine.id, *await bench.entry(successor))
    assert await bench.archive.page(bench.scope, EVERYTHING, NOW, None, 9) == [mine]
    assert [m.content for m in await bench.archive.page(other, EVERYTHING, NOW, None, 9)] == ["the green boat"]
    assert (await bench.archive.inventory(bench.scope, NOW)).superseded == 0
    assert (await bench.archive.inventory(other, NOW)).superseded == 1
    assert await bench.archive.count_selected(bench.scope, EVERYTHING, NOW) == 1
    assert [memory for memory, _ in await entries_of(bench.archive, bench.scope)] == [mine]
    assert await bench.archive.remove_selected(other, Selection(since=successor.moment), NOW) == 1
    receipt = await bench.archive.erase(user, None, NOW, tenant="another")
    assert (receipt.memories, receipt.versions) == (1, 1)
    assert await bench.archive.get(mine.id, agent, tenant=mine.scope.tenant) == mine


async def test_nobody_changes_what_is_kept_by_what_they_gave_or_got(bench):
    def spoilt(memory):
        memory.metadata["pets"].append("fox")
        memory.metadata["is"] = "gone"
        return memory

    first, known = bench.memory("Ada is well.", metadata={"pets": ["cat"]}), {"agent_id": bench.scope.agent_id}
    await bench.keep(first)
    again = replace(first, version=2, metadata={"pets": ["dog"]}, revised_at=NOW)
    await bench.archive.replace(again, None, 1)
    successor = bench.memory("Ada is ill.", metadata={"pets": ["hen"]})
    await bench.archive.supersede(first.id, *await bench.entry(successor))
    told = bench.memory("Ada is ill.", metadata={"pets": ["cow"]})
    near = await bench.archive.alike(*await bench.entry(told), NOW)
    [likeness, *_] = await bench.archive.tell_many([await bench.entry(told)], NOW)
    once_more = bench.memory("Ada is ill.", metadata={"pets": ["pig"]})
    remembered = await bench.archive.reinforce(*await bench.entry(once_more), NOW)
    kept = [remembered.memory, *(like.memory for like in (*near, *likeness, *remembered.near))]
    for memory in (first, again, successor, told, once_more, *kept):
        spoilt(memory)

    async def everything():
        listed = [await bench.archive.get(first.id, tenant="default", **known), *await bench.page(superseded=True)]
        versions = await bench.archive.history(first.id, tenant="default", **known)
        spooled = [memory for memory, _ in await entries_of(bench.archive, bench.scope)]
        return [*listed, *versions, *spooled]

    for _ in range(2):
        for memory in await everything():
            assert "is" not in memory.metadata
            assert len(memory.metadata["pets"]) == 1
            spoilt(memory)
