import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound, StaleVersion
from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.selection import Selection

WHO = {"agent_id": "agent", "user_id": "user"}


class World:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        store, embedder = InMemoryMemoryStore(), HashingEmbedder()
        self.store = store
        self.memory = SemanticMemory(store, embedder, clock=self.clock)
        self.archive = InMemoryMemoryArchive(store)
        self.keeping = MemoryKeeping(self.archive, embedder, clock=self.clock)

    def clock(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    async def tell(self, *contents, **fields) -> list[Memory]:
        return [await self.memory.remember(**WHO, content=content, **fields) for content in contents]

    async def recalled(self, query, **options) -> list[str]:
        return [r.memory.content for r in await self.memory.recall(**WHO, query=query, **options)]


@pytest.fixture
def world():
    return World()


async def test_gets_what_was_remembered(world):
    [memory] = await world.tell("She lives in Oslo", tags=["home"], metadata={"sure": True})
    assert await world.keeping.get(str(memory.id), agent_id="agent") == memory
    with pytest.raises(NotFound):
        await world.keeping.get(memory.id, agent_id="another")


async def test_a_misspelt_field_is_no_silence(world):
    [memory] = await world.tell("She lives in Oslo")
    for verb in (world.keeping.revise, world.keeping.supersede):
        with pytest.raises(InvalidInput, match="contents: unknown field"):
            await verb(memory.id, agent_id="agent", contents="She lives in Lima")


async def test_lists_newest_first_until_nothing_follows(world):
    told = await world.tell(*(f"number {n}" for n in range(5)))
    first = await world.keeping.list(**WHO, limit=3)
    last = await world.keeping.list(**WHO, limit=3, cursor=first.cursor)
    assert [*first.memories, *last.memories] == told[::-1]
    assert last.cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "äöü", "AAAA", "MjAyNi0wMS0wMSAxMjM="])
async def test_refuses_a_cursor_it_did_not_give(world, cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        await world.keeping.list(**WHO, cursor=cursor)


async def test_a_cursor_of_a_list_is_read_as_it_was_given(world):
    await world.tell("one", "two")
    cursor = (await world.keeping.list(**WHO, limit=1)).cursor
    for changed in (cursor + "AAAA", cursor + "\n", "*" + cursor):
        with pytest.raises(InvalidInput, match="cursor"):
            await world.keeping.list(**WHO, cursor=changed)


async def test_a_revision_is_found_and_the_former_is_history(world):
    [memory] = await world.tell("She lives in Oslo", importance=1.5)
    revised = await world.keeping.revise(memory.id, agent_id="agent", content="She lives in Lima", version=1)
    assert (revised.version, revised.importance, revised.created_at) == (2, 1.5, memory.created_at)
    assert await world.recalled("Lima") == ["She lives in Lima"]
    assert await world.keeping.history(memory.id, agent_id="agent") == [revised, memory]


async def test_a_revision_tells_when_it_was_made(world):
    [memory] = await world.tell("She lives in Oslo")
    assert memory.updated_at == memory.created_at
    second = await world.keeping.revise(memory.id, agent_id="agent", importance=2)
    assert (second.created_at, second.updated_at) == (memory.created_at, world.now)
    assert await world.keeping.revise(memory.id, agent_id="agent", importance=2) == second
    successor = await world.keeping.supersede(memory.id, agent_id="agent", content="She lives in Lima")
    assert second.updated_at < successor.updated_at == successor.created_at == world.now
    assert (await world.keeping.get(memory.id, agent_id="agent")).updated_at == second.updated_at


async def test_a_clock_that_goes_back_makes_no_version_older_than_the_one_before(world):
    [memory] = await world.tell("She lives in Oslo")
    world.now -= timedelta(hours=9)
    assert (await world.keeping.revise(memory.id, agent_id="agent", importance=2)).updated_at == memory.created_at


async def test_a_revision_of_another_version_is_a_conflict(world):
    [memory] = await world.tell("She lives in Oslo")
    await world.keeping.revise(memory.id, agent_id="agent", importance=2)
    with pytest.raises(Conflict, match="version 2, not 1"):
        await world.keeping.revise(memory.id, agent_id="agent", importance=0, version=1)


async def test_a_revision_that_says_nothing_anew_makes_no_version(world):
    [memory] = await world.tell("She lives in Oslo", metadata={"sure": 1})
    for fields in ({}, {"content": memory.content}, {"metadata": {"sure": 1}}):
        assert await world.keeping.revise(memory.id, agent_id="agent", version=1, **fields) == memory
    assert await world.keeping.history(memory.id, agent_id="agent") == [memory]
    with pytest.raises(Conflict):
        await world.keeping.revise(memory.id, agent_id="agent", version=2)
    revised = await world.keeping.revise(memory.id, agent_id="agent", metadata={"sure": True})
    assert (revised.version, revised.metadata["sure"]) == (2, True)


async def test_after_the_last_version_there_is_none(world):
    [memory] = await world.tell("She lives in Oslo")
    last = replace(memory, version=2**31 - 1)
    assert await world.archive.replace(last, None, 1)
    with pytest.raises(Conflict, match="at version 2147483647, the last one"):
        await world.keeping.revise(memory.id, agent_id="agent", content="She lives in Lima")
    assert await world.keeping.get(memory.id, agent_id="agent") == last
    assert (await world.keeping.supersede(memory.id, agent_id="agent", content="She lives in Lima")).version == 1


async def test_a_refused_revision_changes_nothing(world):
    [memory] = await world.tell("She lives in Oslo")
    for fields in ({"content": ""}, {"importance": 3}, {"memory_type": "odd"}, {"metadata": {"a": "\0"}}):
        with pytest.raises(InvalidInput):
            await world.keeping.revise(memory.id, agent_id="agent", **fields)
    assert await world.keeping.get(memory.id, agent_id="agent") == memory


async def test_what_is_superseded_is_kept_and_not_recalled(world):
    [old] = await world.tell("She lives in Oslo", tags=["home"])
    new = await world.keeping.supersede(old.id, agent_id="agent", content="She lives in Lima")
    assert new.tags == {"home"}
    assert await world.recalled("Where does she live?") == ["She lives in Lima"]
    assert (await world.keeping.get(old.id, agent_id="agent")).superseded_by == new.id
    with pytest.raises(Conflict):
        await world.keeping.supersede(old.id, agent_id="agent", content="She lives in Rome")


async def test_what_supersedes_by_an_id_of_its_own_does_so_once(world):
    [old] = await world.tell("She lives in Oslo")
    given = {"agent_id": "agent", "content": "She lives in Lima", "new_id": uuid4(), "version": 1}
    new = await world.keeping.supersede(old.id, **given)
    assert new.id == given["new_id"]
    assert await world.keeping.supersede(old.id, **given) == new
    with pytest.raises(Conflict):
        await world.keeping.supersede(old.id, agent_id="agent", content="She lives in Lima", new_id=uuid4())


class Slow(HashingEmbedder):
    """Somebody else is faster."""

    meanwhile = None

    async def embed(self, texts, **options):
        if self.meanwhile:
            await self.meanwhile()
        return await super().embed(texts, **options)


async def test_what_is_revised_meanwhile_is_in_what_supersedes_it(world):
    [old] = await world.tell("She lives in Oslo")
    slow = Slow()
    keeping = MemoryKeeping(InMemoryMemoryArchive(world.store), slow, clock=world.clock)

    async def once():
        slow.meanwhile = None
        await world.keeping.revise(old.id, agent_id="agent", tags=["home"])

    slow.meanwhile = once
    new = await keeping.supersede(old.id, agent_id="agent", content="She lives in Lima")
    assert new.tags == {"home"}
    slow.meanwhile = lambda: world.keeping.revise(new.id, agent_id="agent", tags=["moved"])
    with pytest.raises(StaleVersion):
        await keeping.supersede(new.id, agent_id="agent", content="She lives in Rome", version=1)
    assert (await world.keeping.get(new.id, agent_id="agent")).superseded_at is None


async def test_what_keeps_changing_is_a_conflict(world):
    [old] = await world.tell("She lives in Oslo")
    slow, tags = Slow(), count()
    slow.meanwhile = lambda: world.keeping.revise(old.id, agent_id="agent", tags=[str(next(tags))])
    keeping = MemoryKeeping(InMemoryMemoryArchive(world.store), slow, clock=world.clock)
    with pytest.raises(Conflict, match="keeps changing"):
        await keeping.supersede(old.id, agent_id="agent", content="She lives in Lima")
    with pytest.raises(Conflict, match="keeps changing"):
        await keeping.revise(old.id, agent_id="agent", content="She lives in Lima")


async def test_of_many_who_revise_at_once_each_comes_through(world):
    [told] = await world.tell("She lives in Oslo")
    slow = Slow()
    slow.meanwhile = lambda: asyncio.sleep(0)
    keeping = MemoryKeeping(InMemoryMemoryArchive(world.store), slow, clock=world.clock)
    fields = [{"content": f"She lives in {n}"} for n in range(8)] + [{"tags": [str(n)]} for n in range(8)]
    await asyncio.gather(*(keeping.revise(told.id, agent_id="agent", **said) for said in fields))
    versions = await world.keeping.history(told.id, agent_id="agent")
    assert [memory.version for memory in versions] == list(range(17, 0, -1))
    assert {memory.content for memory in versions} == {told.content, *(f"She lives in {n}" for n in range(8))}


async def test_tags_that_are_given_once_are_there_after_another_was_faster(world):
    [told] = await world.tell("She lives in Oslo")
    slow = Slow()

    async def revise_once():
        slow.meanwhile = None
        await world.keeping.revise(told.id, agent_id="agent", importance=2)

    slow.meanwhile = revise_once
    keeping = MemoryKeeping(InMemoryMemoryArchive(world.store), slow, clock=world.clock)
    revised = await keeping.revise(told.id, agent_id="agent", content="She lives in Lima", tags=iter(["new"]))
    assert (revised.tags, revised.importance, revised.version) == ({"new"}, 2, 3)


async def test_what_supersedes_what_has_expired_says_until_when_it_holds(world):
    [old] = await world.tell("Milk in the fridge", expires_at=world.now + timedelta(minutes=3))
    world.now += timedelta(hours=1)
    with pytest.raises(Conflict, match="has expired"):
        await world.keeping.supersede(old.id, agent_id="agent", content="Butter in the fridge")
    new = await world.keeping.supersede(old.id, agent_id="agent", content="Butter in the fridge", expires_at=None)
    assert new.expires_at is None
    assert await world.recalled("butter") == ["Butter in the fridge"]


async def test_what_supersedes_holds_when_it_is_told(world):
    [old] = await world.tell("She lives in Oslo")
    for past in (world.now - timedelta(days=1), world.now):
        with pytest.raises(InvalidInput, match=r"^expires_at: must be in the future, is 20.* nothing would hold"):
            await world.keeping.supersede(old.id, agent_id="agent", content="She lives in Lima", expires_at=past)
    assert await world.recalled("Where does she live?") == ["She lives in Oslo"]
    soon = world.now + timedelta(hours=1)
    new = await world.keeping.supersede(old.id, agent_id="agent", content="She lives in Lima", expires_at=soon)
    assert new.expires_at == soon


async def test_what_has_superseded_and_expired_since_may_be_told_again(world):
    [old] = await world.tell("She lives in Oslo")
    given = {"content": "She lives in Lima", "new_id": uuid4(), "expires_at": world.now + timedelta(minutes=9)}
    new = await world.keeping.supersede(old.id, agent_id="agent", **given)
    world.now += timedelta(hours=1)
    assert await world.keeping.supersede(old.id, agent_id="agent", **given) == new


async def test_what_has_expired_is_revised_by_who_says_until_when_it_holds(world):
    [memory] = await world.tell("Milk in the fridge", expires_at=world.now + timedelta(minutes=3))
    world.now += timedelta(hours=1)
    for fields in ({"content": "Butter in the fridge"}, {"content": memory.content}, {}):
        with pytest.raises(Conflict, match="has expired: say when it expires"):
            await world.keeping.revise(memory.id, agent_id="agent", **fields)
    with pytest.raises(StaleVersion):
        await world.keeping.revise(memory.id, agent_id="agent", version=2, content="Butter in the fridge")
    assert await world.keeping.get(memory.id, agent_id="agent") == memory
    revised = await world.keeping.revise(memory.id, agent_id="agent", expires_at=None, content="Butter in the fridge")
    assert (revised.version, revised.expires_at) == (2, None)
    assert await world.keeping.purge() == 0
    assert await world.recalled("butter") == ["Butter in the fridge"]


async def test_no_revision_begins_after_the_end(world):
    [old] = await world.tell("She lives in Oslo", event_time=world.now - timedelta(days=30))
    moved = world.now - timedelta(days=10)
    await world.keeping.supersede(old.id, agent_id="agent", content="She lives in Lima", event_time=moved)
    with pytest.raises(InvalidInput, match=r"event_time: must not be after .* when the memory was superseded"):
        await world.keeping.revise(old.id, agent_id="agent", event_time=moved + timedelta(days=1))
    assert (await world.keeping.revise(old.id, agent_id="agent", event_time=moved)).event_time == moved


async def test_a_dry_run_forgets_nothing(world):
    await world.tell("a", "b", tags=["x"])
    await world.tell("c")
    selection = Selection(tags=frozenset({"x"}))
    assert await world.keeping.forget_selected(**WHO, selection=selection, dry_run=True) == 2
    assert await world.keeping.forget_selected(**WHO, selection=selection) == 2
    assert await world.memory.count(**WHO) == 1


async def test_erases_a_user(world):
    await world.tell("a", "b")
    receipt = await world.keeping.erase_user("user")
    assert (receipt.memories, receipt.user_id) == (2, "user")
    assert await world.memory.count(**WHO) == 0


async def test_what_has_expired_is_gone_for_all_verbs(world):
    await world.tell("milk in the fridge", expires_at=world.now + timedelta(minutes=3))
    assert await world.recalled("milk") == ["milk in the fridge"]
    world.now += timedelta(hours=1)
    assert await world.recalled("milk") == []
    assert (await world.keeping.list(**WHO)).memories == ()
    assert (await world.keeping.inventory(**WHO)).expired == 1
    assert await world.keeping.purge() == 1
    assert await world.memory.count(**WHO) == 0


async def test_what_has_expired_does_not_come_back_by_an_end_that_is_put_off(world):
    [milk] = await world.tell("milk in the fridge", expires_at=world.now + timedelta(hours=1))
    put_off = partial(world.keeping.put_off, milk.id, **WHO, version=1)
    assert await put_off(expires_at=world.now + timedelta(hours=2))
    world.now += timedelta(hours=2)
    assert not await put_off(expires_at=world.now + timedelta(hours=1))
    assert await world.recalled("milk") == []


@pytest.mark.parametrize("verb", ["revise", "supersede"])
@pytest.mark.parametrize("said", [{}, {"expires_at": None}])
async def test_an_end_that_is_put_off_meanwhile_stays_unless_it_is_said_anew(world, verb, said):
    [milk] = await world.tell("milk in the fridge", expires_at=world.now + timedelta(hours=1))
    later = world.now + timedelta(hours=9)

    slow = Slow()
    slow.meanwhile = lambda: world.keeping.put_off(milk.id, **WHO, version=1, expires_at=later)
    keeping = MemoryKeeping(world.archive, slow, clock=world.clock)
    told = await getattr(keeping, verb)(milk.id, agent_id="agent", content="butter in the fridge", **said)
    assert told.expires_at == said.get("expires_at", later)
    assert await world.keeping.get(told.id, agent_id="agent") == told


@pytest.mark.parametrize("limit", [0, 201])
async def test_refuses_pages_out_of_bounds(world, limit):
    with pytest.raises(InvalidInput, match="limit"):
        await world.keeping.list(**WHO, limit=limit)
