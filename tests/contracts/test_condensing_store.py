"""What every `CondensingStore` promises, and consolidation on top of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from spools import entries_of
from structlog.testing import capture_logs

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.consolidation import Consolidation, ExtractiveCondenser
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.application.transfer import Transfer
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from agent_memory.domain.semantic.memory import Condensing, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.retention import Retention
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.tenants import Reach

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Bench:
    def __init__(self, store, condensing, archive) -> None:
        self.store, self.condensing, self.archive = store, condensing, archive
        self.scope = Scope(f"agent-{uuid4()}", "user")
        self.whose = {"agent_id": self.scope.agent_id, "user_id": self.scope.user_id}
        self.embedder = HashingEmbedder()
        self.memory = SemanticMemory(store, self.embedder, clock=lambda: NOW)
        self.keeping = MemoryKeeping(archive, self.embedder, clock=lambda: NOW)

    def consolidation(self, threshold=6, batch=4, condenser=None) -> Consolidation:
        retention = Retention(threshold, batch)
        return Consolidation(self.condensing, self.embedder, condenser, retention, clock=lambda: NOW)

    async def tell(self, number: int, **fields) -> list[Memory]:
        told = []
        for hour in range(number):
            content = f"The code of door {hour} is {hour * 77}."
            memory = Memory(MemoryId(uuid4()), self.scope, content, START + timedelta(hours=hour), **fields)
            [embedding] = await self.embedder.embed([content])
            await self.store.add(memory, embedding)
            told.append(memory)
        return told

    async def forget(self, memory: Memory) -> bool:
        return await self.store.remove(memory.id, self.scope.agent_id, tenant=self.scope.tenant)

    async def kept(self, memory: Memory) -> Memory | None:
        return await self.archive.get(memory.id, self.scope.agent_id, tenant=self.scope.tenant)

    async def known(self) -> set[str]:
        found = await self.memory.recall(
            agent_id=self.scope.agent_id, user_id="user", query="What is the code of the door?", top_k=50
        )
        return {recollection.memory.content for recollection in found}


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def bench(request):
    if request.param == "in_memory":
        store = InMemoryMemoryStore()
        yield Bench(store, InMemoryCondensingStore(store), InMemoryMemoryArchive(store))
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 4, 8) as database:
            yield Bench(
                PostgresMemoryStore(database), PostgresCondensingStore(database), PostgresMemoryArchive(database)
            )


async def test_finds_the_scopes_that_have_too_much(bench):
    await bench.tell(3)
    assert bench.scope in await bench.condensing.crowded(2, NOW)
    assert bench.scope not in await bench.condensing.crowded(3, NOW)


async def test_only_held_episodic_memories_are_too_much(bench):
    await bench.tell(3, memory_type=MemoryType.SEMANTIC)
    await bench.tell(3, expires_at=NOW)
    assert bench.scope not in await bench.condensing.crowded(0, NOW)
    assert await bench.condensing.oldest(bench.scope, 10, NOW) == []


async def test_gives_the_oldest_first(bench):
    told = await bench.tell(5)
    assert await bench.condensing.oldest(bench.scope, 3, NOW) == told[:3]


async def test_gives_none_unless_there_are_more(bench):
    told = await bench.tell(5)
    await bench.tell(2, memory_type=MemoryType.SEMANTIC)
    assert await bench.condensing.oldest(bench.scope, 3, NOW, more_than=4) == told[:3]
    assert await bench.condensing.oldest(bench.scope, 3, NOW, more_than=5) == []


async def test_the_oldest_become_one_that_tells_what_they_told(bench):
    told = await bench.tell(7)
    made = await bench.consolidation().condense(**bench.whose)
    assert made.content == "\n".join(memory.content for memory in told[:4])
    assert await bench.known() == {made.content, *(memory.content for memory in told[4:])}
    assert await bench.store.count(bench.scope) == 8


async def test_too_little_is_left_alone(bench):
    await bench.tell(3)
    assert await bench.consolidation().condense(**bench.whose) is None
    assert len(await bench.known()) == 3


async def test_a_run_condenses_what_is_crowded_until_nothing_is(bench):
    await bench.tell(7)
    consolidation = bench.consolidation()
    assert bench.scope in {memory.scope for memory in await consolidation.run_once()}
    assert bench.scope not in {memory.scope for memory in await consolidation.run_once()}


async def test_a_backlog_is_condensed_in_one_run(bench):
    told = await bench.tell(30)
    assert await bench.consolidation().run() >= 6
    known = await bench.known()
    assert len(known) == 6 + 6
    assert all(any(memory.content in text for text in known) for memory in told)


async def test_what_was_condensed_is_valid_since_it_was(bench):
    """Asked of a time before, its sources answer, and nothing tells the same a second time."""
    told = await bench.tell(7)
    made = await bench.consolidation().condense(**bench.whose)
    before = made.created_at - timedelta(seconds=1)
    assert made.moment < before
    [embedding] = await bench.embedder.embed(["fact"])
    search = Search(bench.scope, embedding, frozenset(), 50, made.created_at, as_of=before)
    found = [c.memory.content for c in (await bench.store.shortlist(search)).candidates]
    assert found == [memory.content for memory in told]
    later = await bench.store.shortlist(replace(search, as_of=made.created_at))
    assert made.content in {c.memory.content for c in later.candidates}
    assert len(later.candidates) == 4


async def test_of_many_workers_one_condenses(bench):
    await bench.tell(7)
    made = await asyncio.gather(*(bench.consolidation().condense(**bench.whose) for _ in range(6)))
    assert sum(memory is not None for memory in made) == 1
    assert await bench.store.count(bench.scope) == 8


async def test_what_was_condensed_can_be_brought_back(bench):
    told = await bench.tell(7)
    made = await bench.consolidation().condense(**bench.whose)
    with pytest.raises(NotFound):
        await bench.consolidation().restore(made.id, agent_id="another")
    assert await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id) == 4
    assert await bench.known() == {memory.content for memory in told}
    with pytest.raises(NotFound):
        await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id)


@pytest.mark.parametrize("differs", ["user_id", "agent_id"])
@pytest.mark.parametrize("asked", ["user", None])
async def test_bringing_back_removes_nothing_of_another_scope(bench, differs, asked):
    """An imported memory may name any other as what stands for it."""
    [foreign] = await bench.tell(1)
    [embedding] = await bench.embedder.embed([foreign.content])
    foreign = replace(foreign, id=MemoryId(uuid4()), scope=replace(bench.scope, **{differs: f"another-{uuid4()}"}))
    await bench.store.add(foreign, embedding)
    await bench.tell(1, superseded_by=foreign.id, superseded_at=NOW)
    assert (
        await bench.condensing.restore(foreign.id, bench.scope.agent_id, asked, tenant=bench.scope.tenant, now=NOW) == 1
    )
    assert await bench.store.count(foreign.scope) == 1


async def test_nothing_changes_when_a_source_is_gone(bench):
    told = await bench.tell(4)
    await bench.store.remove(told[0].id, bench.scope.agent_id, tenant=bench.scope.tenant)
    successor = Memory(MemoryId(uuid4()), bench.scope, "all", START)
    [embedding] = await bench.embedder.embed(["all"])
    assert not await bench.condensing.stand_for(told, successor, embedding, NOW)
    assert await bench.known() == {memory.content for memory in told[1:]}


async def test_nothing_changes_when_a_source_was_revised(bench):
    told = await bench.tell(4)
    successor = Memory(MemoryId(uuid4()), bench.scope, "all", START)
    [embedding] = await bench.embedder.embed(["all"])
    stale = [*told[:3], replace(told[3], version=told[3].version + 1)]
    assert not await bench.condensing.stand_for(stale, successor, embedding, NOW)
    assert await bench.known() == {memory.content for memory in told}


async def test_what_expires_by_itself_is_not_condensed(bench):
    await bench.tell(3, expires_at=NOW + timedelta(days=1))
    assert bench.scope not in await bench.condensing.crowded(0, NOW)
    assert await bench.condensing.oldest(bench.scope, 10, NOW) == []


async def test_what_is_old_and_unimportant_fades_and_can_be_brought_back(bench):
    [dull] = await bench.tell(1, importance=0.5)
    [plain] = await bench.tell(1)
    await bench.tell(1, importance=1.1)
    await bench.tell(1, memory_type=MemoryType.SEMANTIC, importance=0)
    await bench.tell(1, expires_at=NOW + timedelta(days=1), importance=0)
    age = NOW - START
    held = await bench.store.count(bench.scope)
    await bench.condensing.fade(2 * age, NOW)
    assert len(await bench.condensing.oldest(bench.scope, 10, NOW)) == 3
    await bench.condensing.fade(1.9 * age, NOW)
    assert dull not in await bench.condensing.oldest(bench.scope, 10, NOW)
    await bench.condensing.fade(timedelta(days=1), NOW)
    assert [m.importance for m in await bench.condensing.oldest(bench.scope, 10, NOW)] == [pytest.approx(1.1)]
    assert await bench.store.count(bench.scope) == held
    assert await bench.condensing.restore(plain.id, "another", tenant=bench.scope.tenant, now=NOW) == 0
    assert await bench.condensing.restore(plain.id, bench.scope.agent_id, tenant=bench.scope.tenant, now=NOW) == 1
    assert await bench.condensing.restore(plain.id, bench.scope.agent_id, tenant=bench.scope.tenant, now=NOW) == 0
    await bench.condensing.fade(timedelta(days=1), NOW)
    assert plain.id in {m.id for m in await bench.condensing.oldest(bench.scope, 10, NOW)}


async def test_the_tags_of_what_was_condensed_find_what_stands_for_it(bench):
    await bench.tell(7, tags=frozenset({"door"}))
    assert (await bench.consolidation().condense(**bench.whose)).tags == {"door", "condensed"}


async def test_tenants_share_names_and_ids_and_never_meet(bench):
    """The same agent, user and ids: one tenant's are condensed and brought back, the other's stay as they are."""
    mine = await bench.tell(4)
    other = replace(bench.scope, tenant="another")
    for memory in mine:
        [embedding] = await bench.embedder.embed([memory.content])
        await bench.store.add(replace(memory, scope=other), embedding)
    assert {scope for scope in await bench.condensing.crowded(3, NOW) if scope.agent_id == other.agent_id} == {
        bench.scope, other
    }  # fmt: skip
    theirs = bench.consolidation(threshold=4).within(Reach("another"))
    made = await theirs.condense(**bench.whose)
    assert await bench.condensing.oldest(bench.scope, 9, NOW) == mine
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, tenant=bench.scope.tenant, now=NOW) == 0
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, "somebody", tenant="another", now=NOW) == 0
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, "user", tenant="another", now=NOW) == 4
    assert await bench.store.count(bench.scope) == await bench.store.count(other) == 4


async def test_one_id_of_two_tenants_stands_and_comes_back_in_each_alone(bench):
    [mine, successor] = await bench.tell(2)
    [embedding] = await bench.embedder.embed([mine.content])
    agent, tenant = bench.scope.agent_id, bench.scope.tenant
    theirs = [replace(memory, scope=replace(bench.scope, tenant="another")) for memory in (mine, successor)]
    for memory in theirs:
        await bench.store.add(memory, embedding)
    assert await bench.forget(successor)
    assert await bench.archive.supersede(mine.id, successor, embedding)
    assert await bench.condensing.standing(mine.id, agent, tenant=tenant, now=NOW) == successor.id
    assert await bench.condensing.standing(mine.id, agent, tenant="another", now=NOW) is None
    assert await bench.condensing.restore(mine.id, agent, tenant="another", now=NOW) == 0
    assert await bench.forget(successor)  # theirs holds, and stands for nothing of mine
    assert await bench.condensing.restore(theirs[0].id, agent, tenant="another", now=NOW) == 0
    assert await bench.condensing.standing(mine.id, agent, tenant=tenant, now=NOW) is None
    assert await bench.condensing.restore(mine.id, agent, tenant=tenant, now=NOW) == 1
    assert await bench.kept(mine) == mine
    assert [await bench.archive.get(each.id, agent, tenant="another") for each in theirs] == theirs


async def test_what_is_forgotten_does_not_live_on_in_what_was_condensed_of_it(bench):
    told = await bench.tell(7)
    made = await bench.consolidation().condense(**bench.whose)
    assert await bench.forget(told[1])
    assert await bench.kept(made) is None
    assert await bench.known() == {memory.content for memory in told if memory != told[1]}
    assert [await bench.kept(memory) for memory in told] == [told[0], None, *told[2:]]
    assert not await bench.forget(told[1])
    assert (await bench.consolidation().condense(**bench.whose)).content == "\n".join(
        memory.content for memory in (told[0], *told[2:5])
    )


async def test_what_was_condensed_is_forgotten_by_what_it_was(bench):
    [mine] = await bench.tell(1, tags=frozenset({"mine"}), metadata={"n": 1})
    others = await bench.tell(3)
    made = await bench.consolidation().condense(**bench.whose)
    which = Selection(tags=frozenset({"mine"}), memory_type=MemoryType.EPISODIC)
    assert await bench.archive.count_selected(bench.scope, which, NOW) == 1
    assert await bench.archive.remove_selected(bench.scope, which, NOW) == 1
    assert await bench.archive.remove_selected(bench.scope, which, NOW) == 0
    assert (await bench.kept(mine), await bench.kept(made)) == (None, None)
    assert [await bench.kept(memory) for memory in others] == others


async def test_forgetting_everything_forgets_what_was_condensed(bench):
    await bench.tell(7)
    await bench.consolidation().condense(**bench.whose)
    assert await bench.archive.count_selected(bench.scope, EVERYTHING, NOW) == 8
    assert await bench.archive.remove_selected(bench.scope, EVERYTHING, NOW) == 8
    assert await bench.store.count(bench.scope) == 0


async def test_what_is_forgotten_together_with_what_was_condensed_of_it_leaves_the_others(bench):
    await bench.tell(1, tags=frozenset({"mine"}))
    others = await bench.tell(3)
    await bench.consolidation().condense(**bench.whose)
    assert await bench.archive.remove_selected(bench.scope, Selection(tags=frozenset({"mine"})), NOW) == 2
    assert [await bench.kept(memory) for memory in others] == others


async def test_forgetting_what_stands_for_others_leaves_them_to_be_brought_back(bench):
    told = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    assert await bench.forget(made)
    assert await bench.known() == set()
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, tenant=bench.scope.tenant, now=NOW) == 4
    assert await bench.known() == {memory.content for memory in told}


async def test_what_somebody_told_in_place_of_what_was_condensed_stays(bench):
    told = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    instead = await bench.keeping.supersede(made.id, agent_id=bench.scope.agent_id, content="The doors have no codes.")
    assert await bench.forget(told[0])
    assert await bench.kept(made) is None
    assert await bench.known() == {"The doors have no codes."}
    assert await bench.forget(told[1])
    assert await bench.kept(instead) == instead
    assert {(await bench.kept(memory)).superseded_by for memory in told[2:]} == {instead.id}


async def test_what_was_condensed_is_known_for_it_whatever_is_said_of_it(bench):
    told = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    said = {"metadata": {"mine": 1}, "tags": [], "importance": 2}
    revised = await bench.keeping.revise(made.id, agent_id=bench.scope.agent_id, **said)
    assert (revised.metadata, revised.tags, revised.is_summary) == ({"mine": 1}, set(), True)
    assert await bench.forget(told[0])
    assert await bench.kept(made) is None


async def test_what_was_condensed_twice_comes_apart_wholly(bench):
    told = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    await bench.keeping.revise(made.id, agent_id=bench.scope.agent_id, memory_type="episodic")
    others = await bench.tell(3)
    again = await bench.consolidation().condense(**bench.whose)
    assert (await bench.kept(made)).superseded_by == again.id
    assert await bench.forget(told[3])
    assert (await bench.kept(made), await bench.kept(again)) == (None, None)
    assert [await bench.kept(memory) for memory in (*told[:3], *others)] == [*told[:3], *others]


async def test_what_is_superseded_comes_back_when_nothing_stands_for_it(bench):
    [old] = await bench.tell(1, tags=frozenset({"home"}), importance=0.5)
    agent = {"agent_id": bench.scope.agent_id}
    new = await bench.keeping.supersede(old.id, **agent, content="The door has no code.")
    newer = await bench.keeping.supersede(new.id, **agent, content="The door is gone.")
    for superseded in (old, new):
        with pytest.raises(Conflict, match=str(newer.id)):
            await bench.consolidation().restore(superseded.id, **agent)
    assert await bench.known() == {newer.content}
    assert await bench.forget(newer)
    assert await bench.consolidation().restore(new.id, **agent) == 1
    assert await bench.known() == {new.content}
    assert await bench.forget(await bench.kept(new))
    assert await bench.consolidation().restore(old.id, **agent) == 1
    assert await bench.kept(old) == old
    with pytest.raises(NotFound):
        await bench.consolidation().restore(old.id, **agent)


async def test_what_has_expired_stands_for_nothing(bench):
    [old] = await bench.tell(1)
    agent = {"agent_id": bench.scope.agent_id}
    new = await bench.keeping.supersede(old.id, **agent, content="The door has no code.")
    await bench.keeping.revise(new.id, **agent, expires_at=NOW)
    with pytest.raises(NotFound):
        await bench.consolidation().restore(old.id, agent_id="another")
    assert await bench.consolidation().restore(old.id, **agent) == 1
    assert await bench.kept(old) == old


async def test_what_superseded_another_is_undone_by_bringing_back_what_it_stands_for(bench):
    [old] = await bench.tell(1)
    agent = {"agent_id": bench.scope.agent_id}
    new = await bench.keeping.supersede(old.id, **agent, content="The door has no code.")
    assert await bench.consolidation().restore(new.id, **agent) == 1
    assert (await bench.kept(old), await bench.kept(new)) == (old, None)


async def test_a_circle_of_what_supersedes_each_other_has_an_end(bench):
    one, other = MemoryId(uuid4()), MemoryId(uuid4())
    [embedding] = await bench.embedder.embed(["x"])
    for id_, by in ((one, other), (other, one)):
        circle = Memory(id_, bench.scope, "x", START, superseded_by=by, superseded_at=NOW)
        await bench.store.add(circle, embedding)
    assert await bench.consolidation().restore(one, agent_id=bench.scope.agent_id) == 1
    with pytest.raises(Conflict, match=str(one)):
        await bench.consolidation().restore(other, agent_id=bench.scope.agent_id)


async def test_a_source_does_not_come_back_beside_what_was_condensed_of_it(bench):
    told = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    with pytest.raises(Conflict, match=str(made.id)):
        await bench.consolidation().restore(told[0].id, agent_id=bench.scope.agent_id)
    assert await bench.known() == {made.content}


async def test_forgetting_what_held_before_leaves_what_holds_now(bench):
    [old] = await bench.tell(1)
    new = await bench.keeping.supersede(old.id, agent_id=bench.scope.agent_id, content="The door has no code.")
    assert await bench.forget(old)
    assert await bench.kept(new) == new


@pytest.mark.parametrize("differs", ["user_id", "agent_id", "tenant"])
async def test_forgetting_takes_nothing_of_another_scope_apart(bench, differs):
    """An imported memory may name any other as what stands for it."""
    told = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    [embedding] = await bench.embedder.embed(["x"])
    scope = replace(bench.scope, **{differs: f"another-{uuid4()}"})
    foreign = Memory(MemoryId(uuid4()), scope, "x", START, superseded_by=made.id, superseded_at=NOW)
    await bench.store.add(foreign, embedding)
    assert await bench.archive.count_selected(scope, EVERYTHING, NOW) == 1
    assert await bench.store.remove(foreign.id, scope.agent_id, tenant=scope.tenant)
    assert await bench.kept(made) == made
    assert (await bench.kept(told[0])).superseded_by == made.id


async def test_many_who_forget_bring_back_and_condense_at_once_leave_nothing_half_done(bench):
    told = await bench.tell(12)
    made = await bench.consolidation().condense(**bench.whose)
    forgotten = [*told[:3], told[5]]
    await asyncio.gather(
        *(bench.forget(memory) for memory in forgotten),
        bench.condensing.restore(made.id, bench.scope.agent_id, tenant=bench.scope.tenant, now=NOW),
        *(bench.consolidation().condense(**bench.whose) for _ in range(3)),
        bench.archive.remove_selected(bench.scope, Selection(until=told[2].created_at), NOW),
    )
    assert [await bench.kept(memory) for memory in forgotten] == [None] * 4
    entries = [memory for memory, _ in await entries_of(bench.archive, bench.scope)]
    made = {memory.id: memory for memory in entries if memory.memory_type is MemoryType.SEMANTIC}
    sources = [memory for memory in entries if memory.superseded_by]
    assert {memory.superseded_by for memory in sources} == made.keys()
    for id_, memory in made.items():
        assert {source.content for source in sources if source.superseded_by == id_} == set(memory.content.split("\n"))


async def test_a_scope_that_cannot_be_condensed_keeps_no_other_waiting(bench):
    class Choosy(ExtractiveCondenser):
        async def condense(self, memories):
            return "" if memories[0].scope.user_id.startswith("odd") else await super().condense(memories)

    told = await bench.tell(7)
    odd = replace(bench.scope, user_id=f"odd {uuid4()}")
    for memory in told:
        [embedding] = await bench.embedder.embed([memory.content])
        await bench.store.add(replace(memory, id=MemoryId(uuid4()), scope=odd), embedding)
    made = await bench.consolidation(condenser=Choosy()).run_once()
    assert {memory.scope for memory in made} & {bench.scope, odd} == {bench.scope}


async def test_what_somebody_said_of_a_summary_stays_when_its_sources_are_back(bench):
    """And what they told in its place; only what condensing made of the sources goes."""
    told = await bench.tell(4)
    agent = {"agent_id": bench.scope.agent_id}
    made = await bench.consolidation().condense(**bench.whose)
    revised = await bench.keeping.revise(made.id, **agent, content="The doors had codes, says Ada.")
    instead = await bench.keeping.supersede(made.id, **agent, content="The doors have no codes.")
    assert await bench.consolidation().restore(made.id, **agent) == 4
    assert await bench.known() == {instead.content, *(memory.content for memory in told)}
    assert await bench.kept(instead) == instead
    kept = await bench.kept(made)
    assert (kept.content, kept.version, kept.superseded_by) == (revised.content, 2, instead.id)
    assert await bench.keeping.history(made.id, **agent) == [kept]
    with pytest.raises(Conflict, match=str(instead.id)):
        await bench.consolidation().restore(made.id, **agent)
    assert await bench.consolidation().restore(instead.id, **agent) == 1
    assert await bench.known() == {revised.content, *(memory.content for memory in told)}


async def test_a_revised_summary_is_a_memory_like_any_other_when_its_sources_are_back(bench):
    told = await bench.tell(4)
    agent = {"agent_id": bench.scope.agent_id}
    made = await bench.consolidation().condense(**bench.whose)
    second = await bench.keeping.revise(made.id, **agent, content="The doors had codes, says Ada.")
    third = await bench.keeping.revise(made.id, **agent, importance=2)
    assert await bench.consolidation().restore(made.id, **agent) == 4
    assert await bench.known() == {second.content, *(memory.content for memory in told)}
    assert await bench.kept(made) == replace(third, condensing=None)
    assert await bench.keeping.history(made.id, **agent) == [
        replace(third, condensing=None), replace(second, condensing=None)
    ]  # fmt: skip
    assert await bench.forget(told[0])
    assert await bench.known() == {second.content, *(memory.content for memory in told[1:])}
    with pytest.raises(NotFound):
        await bench.consolidation().restore(made.id, **agent)


async def test_a_revised_summary_that_came_without_its_history_stays_as_well(bench):
    [told] = await bench.tell(1)
    made = replace(told, id=MemoryId(uuid4()), condensing=Condensing.SUMMARY, version=3)
    [embedding] = await bench.embedder.embed([made.content])
    assert await bench.condensing.stand_for([told], made, embedding, NOW)
    assert await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id) == 1
    assert await bench.kept(made) == replace(made, condensing=None)


async def test_of_a_summary_that_is_revised_and_taken_apart_at_once_no_revision_is_lost(bench):
    agent = {"agent_id": bench.scope.agent_id}
    for _ in range(6):
        told = await bench.tell(4)
        made = await bench.consolidation().condense(**bench.whose)
        revised, restored = await asyncio.gather(
            bench.keeping.revise(made.id, **agent, content="The doors had codes, says Ada."),
            bench.consolidation().restore(made.id, **agent),
            return_exceptions=True,
        )
        assert restored == 4
        kept = await bench.kept(made)
        if isinstance(revised, Memory):
            assert (kept.content, kept.condensing) == (revised.content, None)
        else:
            assert isinstance(revised, Conflict | NotFound)
            assert kept is None
        for memory in (*told, *filter(None, [kept])):
            await bench.forget(memory)


async def test_what_was_restored_is_neither_condensed_nor_fades_again(bench):
    told = await bench.tell(8)
    consolidation = bench.consolidation()
    [made] = [each for each in await consolidation.run_once() if each.scope == bench.scope]
    assert await consolidation.restore(made.id, agent_id=bench.scope.agent_id) == 4
    assert not [each for each in await consolidation.run_once() if each.scope == bench.scope]
    await bench.condensing.fade(timedelta(days=1), NOW)
    held = [memory for memory in told if (await bench.kept(memory)).superseded_at is None]
    assert held == told[:4]
    assert {(await bench.kept(memory)).condensing for memory in held} == {Condensing.RESTORED}


async def test_what_was_restored_is_what_it_was(bench):
    about = {"importance": 0.7, "tags": frozenset({"door"}), "metadata": {"condensed": {"memories": 3}, "n": 1}}
    told = await bench.tell(4, **about)
    made = await bench.consolidation().condense(**bench.whose)
    await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id)
    back = [replace(await bench.kept(memory), condensing=None) for memory in told]
    assert back == told


async def test_what_was_restored_stays_so_whatever_is_said_of_it_and_what_supersedes_it_is_not(bench):
    told = await bench.tell(4)
    agent = {"agent_id": bench.scope.agent_id}
    made = await bench.consolidation().condense(**bench.whose)
    await bench.consolidation().restore(made.id, **agent)
    await bench.keeping.revise(told[0].id, **agent, metadata={"mine": 1}, content="The code of door 0 is 9999.")
    assert (await bench.kept(told[0])).condensing is Condensing.RESTORED
    new, old = await bench.keeping.history(told[0].id, **agent)
    assert (new.metadata, old) == ({"mine": 1}, told[0])
    assert (await bench.keeping.supersede(told[0].id, **agent, content="It has none.")).condensing is None


async def test_a_stale_writer_does_not_unsay_that_it_was_restored(bench):
    [told, *_] = await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id)
    assert await bench.archive.replace(replace(told, importance=2.0, version=2), None, 1)
    assert (await bench.kept(told)).condensing is Condensing.RESTORED


@pytest.mark.parametrize("own", [{"memories": 3}, {"memories": 3, "from": "x", "until": "y"}, "restored", "summary"])
async def test_what_somebody_calls_condensed_is_a_memory_like_any_other(bench, own):
    told = await bench.tell(4, metadata={"condensed": own}, tags=frozenset({"condensed"}), event_time=START)
    [embedding] = await bench.embedder.embed(["fact"])
    search = Search(bench.scope, embedding, frozenset(), 50, NOW, as_of=START)
    assert len((await bench.store.shortlist(search)).candidates) == 4
    assert await bench.condensing.oldest(bench.scope, 9, NOW) == sorted(told, key=lambda memory: memory.id)
    agent = {"agent_id": bench.scope.agent_id}
    assert (await bench.keeping.revise(told[0].id, **agent, metadata={}, tags=[])).metadata == {}
    await bench.keeping.supersede(told[0].id, **agent, content="It has none.")
    with pytest.raises(Conflict, match="is superseded already"):
        await bench.keeping.supersede(told[0].id, **agent, content="It has two.")
    successor = await bench.keeping.supersede(told[1].id, **agent, content="It has three.")
    assert (successor.metadata, successor.tags) == ({"condensed": own}, {"condensed"})


async def test_long_memories_are_condensed_a_few_at_a_time_and_nothing_is_left_out(bench):
    told = []
    for hour in range(8):
        content = (
            f"Contract {hour * 7919} is with Ann{hour}. {' '.join(f'Clause {hour}.{n} holds.' for n in range(150))}"
        )
        memory = Memory(MemoryId(uuid4()), bench.scope, content, START + timedelta(hours=hour))
        [embedding] = await bench.embedder.embed([content])
        await bench.store.add(memory, embedding)
        told.append(memory)
    made = [each for each in await bench.consolidation().run_once() if each.scope == bench.scope]
    assert [len(each.content) for each in made] == [len("\n".join(m.content for m in told[:2]))]
    assert made[0].metadata["condensed"]["memories"] == 2


async def test_what_was_condensed_is_not_corrected_behind_the_summary(bench):
    told = await bench.tell(8)
    [made] = [each for each in await bench.consolidation().run_once() if each.scope == bench.scope]
    agent = bench.scope.agent_id
    with pytest.raises(Conflict, match=f"restore {made.id} first"):
        await bench.keeping.revise(told[0].id, agent_id=agent, content="The code of door 0 is 9999.")
    with pytest.raises(Conflict, match=f"restore {made.id} first"):
        await bench.keeping.supersede(told[0].id, agent_id=agent, content="The code of door 0 is 9999.")
    assert (await bench.keeping.revise(told[0].id, agent_id=agent, importance=2)).importance == 2
    await bench.consolidation().restore(made.id, agent_id=agent)
    revised = await bench.keeping.revise(told[0].id, agent_id=agent, content="The code of door 0 is 9999.")
    assert (await bench.kept(revised)).content == "The code of door 0 is 9999."


async def test_what_supersedes_a_summary_is_none(bench):
    await bench.tell(8)
    [made] = [each for each in await bench.consolidation().run_once() if each.scope == bench.scope]
    told = await bench.keeping.supersede(made.id, agent_id=bench.scope.agent_id, content="Doors have codes.")
    assert not told.is_summary
    assert (told.tags, told.metadata) == (set(), {})
    labels = {"tags": ["condensed"], "metadata": {"condensed": 1}}
    again = await bench.keeping.supersede(told.id, agent_id=bench.scope.agent_id, content="They have none.", **labels)
    assert (again.is_summary, again.tags, again.metadata) == (False, {"condensed"}, {"condensed": 1})


async def test_a_summary_ends_no_sooner_than_it_began(bench):
    await bench.tell(4)
    made = await bench.consolidation().condense(**bench.whose)
    old = Memory(MemoryId(uuid4()), bench.scope, "Doors had codes.", START)
    [embedding] = await bench.embedder.embed([old.content])
    assert await bench.archive.supersede(made.id, old, embedding)
    assert (await bench.kept(made)).superseded_at == made.created_at


async def test_what_is_condensed_while_it_is_revised_is_not_revised(bench):
    told = await bench.tell(8)

    class Slow(HashingEmbedder):
        async def embed(self, texts, **whose):
            await bench.consolidation().run_once()
            return await super().embed(texts, **whose)

    keeping = MemoryKeeping(bench.archive, Slow(), clock=lambda: NOW)
    with pytest.raises(Conflict, match="restore"):
        await keeping.revise(told[0].id, agent_id=bench.scope.agent_id, content="The code of door 0 is 9999.")
    kept = await bench.kept(told[0])
    assert (kept.content, kept.version) == (told[0].content, 1)
    assert kept.superseded_by is not None


async def test_what_was_brought_back_is_not_condensed_again_by_an_import(bench):
    told = await bench.tell(8)
    summary = await bench.consolidation().condense(**bench.whose)
    transfer = Transfer(bench.archive, bench.embedder)
    lines = [line async for line in transfer.export(**bench.whose)]
    assert (await transfer.load(stream(lines))).known == len(lines)
    await bench.consolidation().restore(summary.id, agent_id=bench.scope.agent_id)
    arrival = await transfer.load(stream(lines))
    assert (arrival.kept, arrival.known, arrival.conflicting) == (0, 8, 1)
    assert "condensed of memories that hold here" in arrival.conflicts[0][1]
    assert await bench.kept(summary) is None
    await bench.keeping.erase_user("user", agent_id=bench.scope.agent_id)
    assert (await transfer.load(stream(lines))).kept == len(lines)
    assert (await bench.kept(summary)).is_summary
    assert {(await bench.kept(memory)).superseded_by for memory in told} == {None, summary.id}


async def test_an_import_keeps_what_is_told_by_nothing_else(bench):
    """An export of before knows some of what was condensed since."""
    told = await bench.tell(3)
    transfer = Transfer(bench.archive, bench.embedder)
    before = [line async for line in transfer.export(**bench.whose)]
    told += await bench.tell(8)
    summary = await bench.consolidation(batch=6).condense(**bench.whose)
    lines = [line async for line in transfer.export(**bench.whose)]
    await bench.keeping.erase_user("user", agent_id=bench.scope.agent_id)
    await transfer.load(stream(before))
    await transfer.load(stream(reversed(lines)))
    assert (await bench.kept(summary)).is_summary
    assert all([await bench.kept(memory) for memory in told])
    await bench.keeping.erase_user("user", agent_id=bench.scope.agent_id)  # or others would condense it


async def stream(lines):
    for line in lines:
        yield line


async def test_a_worker_that_comes_second_leaves_as_many_as_the_first(bench):
    """Both hear that there are too many before one of them has condensed any."""
    told = await bench.tell(8)
    heard, gone_on = asyncio.Event(), asyncio.Event()

    class Slow:
        def __getattr__(self, name):
            return getattr(bench.condensing, name)

        async def crowded(self, *which):
            found = await bench.condensing.crowded(*which)
            heard.set()
            await gone_on.wait()
            return found

    slow = Consolidation(Slow(), bench.embedder, None, Retention(6, 4), clock=lambda: NOW)
    second = asyncio.create_task(slow.run_once())
    await heard.wait()
    assert len(await bench.consolidation().run_once()) == 1
    gone_on.set()
    assert await second == []
    assert sum([(await bench.kept(memory)).superseded_by is None for memory in told]) == 4


async def test_a_run_asks_once_who_has_too_much(bench):
    await crowd(bench, ("u0", "u1"))
    asked = []

    class Counting:
        def __getattr__(self, name):
            return getattr(bench.condensing, name)

        async def crowded(self, *which):
            asked.append(which)
            return await bench.condensing.crowded(*which)

    await Consolidation(Counting(), bench.embedder, None, Retention(6, 4), clock=lambda: NOW).run()
    assert [await left(bench, user_id) for user_id in ("u0", "u1")] == [6, 6]
    assert len(asked) == 1


class Partly:
    """Cannot condense what one user said."""

    def __init__(self, user_id, error):
        self.user_id, self.error = user_id, error

    async def condense(self, memories):
        if memories[0].scope.user_id == self.user_id:
            raise self.error
        return f"There were {len(memories)}."


async def crowd(bench, users, number=14):
    for user_id in users:
        bench.scope = Scope(bench.scope.agent_id, user_id)
        await bench.tell(number)


async def left(bench, user_id):
    return len(await bench.condensing.oldest(Scope(bench.scope.agent_id, user_id), 100, NOW))


async def test_a_run_that_is_cut_off_goes_on_with_no_other_scope(bench):
    """Whatever the condenser makes of it."""
    await crowd(bench, ("u0", "u1", "u2"), 8)
    asked, begun = [], asyncio.Event()

    class Wrapping:
        async def condense(self, memories):
            asked.append(memories)
            try:
                begun.set()
                await asyncio.sleep(3600 if len(asked) == 1 else 0)
            except asyncio.CancelledError as error:
                raise RuntimeError("no answer") from error
            return "All of it."

    run = asyncio.create_task(bench.consolidation(condenser=Wrapping()).run())
    await begun.wait()
    run.cancel()
    with pytest.raises(RuntimeError, match="no answer"):
        await run
    assert len(asked) == 1
    await bench.consolidation().run()


@pytest.mark.parametrize("error", [RuntimeError("no answer"), Unavailable("no answer")])
async def test_a_scope_whose_condensing_breaks_keeps_no_other_waiting(bench, error):
    await crowd(bench, ("u0", "u1", "u2"), 8)
    with capture_logs() as logs:
        made = await bench.consolidation(condenser=Partly("u0", error)).run_once()
    assert {memory.scope.user_id for memory in made if memory.scope.agent_id == bench.scope.agent_id} == {"u1", "u2"}
    assert [await left(bench, user_id) for user_id in ("u0", "u1", "u2")] == [8, 4, 4]
    assert [entry["log_level"] for entry in logs if entry["agent"] == bench.scope.agent_id] == ["warning"]


async def test_a_run_condenses_what_it_can_and_then_says_what_failed(bench):
    await crowd(bench, ("u0", "u1"))
    with capture_logs() as logs, pytest.raises(RuntimeError, match="no answer"):
        await bench.consolidation(condenser=Partly("u0", RuntimeError("no answer"))).run()
    assert [await left(bench, user_id) for user_id in ("u0", "u1")] == [14, 6]
    assert len([entry for entry in logs if entry["agent"] == bench.scope.agent_id]) == 1
    assert await bench.consolidation().run() >= 2


async def test_what_a_run_can_never_condense_is_no_failure_of_it(bench):
    await crowd(bench, ("u0", "u1"))
    with capture_logs():
        assert await bench.consolidation(condenser=Partly("u0", InvalidInput("content", "too long"))).run() >= 2
    assert await left(bench, "u0") == 14
    await bench.consolidation().run()


async def test_nobody_changes_what_is_kept_by_what_is_condensed(bench):
    told = await bench.tell(4, metadata={"pets": ["cat"]})
    for memory in await bench.condensing.oldest(bench.scope, 4, NOW):
        memory.metadata["pets"].append("fox")
    made = await bench.consolidation().condense(**bench.whose)
    made.metadata["pets"].append("hen")
    for memory in (*told, made):
        assert (await bench.kept(memory)).metadata["pets"] == ["cat"]
