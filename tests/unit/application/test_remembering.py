from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.remembering import Remembering
from agent_memory.domain.errors import Conflict, InvalidInput
from agent_memory.domain.semantic.duplicates import Likeness, tells_nothing_new
from agent_memory.domain.semantic.memory import Condensing, Memory, MemoryId, MemoryType, Scope

WHO = {"agent_id": "agent", "user_id": "user"}
SCOPE = Scope(**WHO)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class World:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.store = InMemoryMemoryStore()
        self.archive = InMemoryMemoryArchive(self.store)
        self.remembering = Remembering(self.store, self.archive, HashingEmbedder(), clock=self.clock)

    def clock(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    async def tell(self, content, on_near_duplicate="keep", **fields):
        return await self.remembering.remember({"content": content} | fields, on_near_duplicate, **WHO)

    async def tell_many(self, *memories, **options):
        return await self.remembering.remember_many(list(memories), **WHO, **options)

    async def count(self) -> int:
        return await self.store.count(Scope(**WHO))


@pytest.fixture
def world():
    return World()


async def test_what_is_new_has_no_likeness(world):
    told = await world.tell("Ada lives in Lisbon")
    assert (told.added, told.near) == (True, ())


async def test_the_very_same_words_are_recognised_and_kept(world):
    first = await world.tell("Ada lives in Lisbon")
    again = await world.tell("Ada lives in Lisbon")
    assert again.added
    assert [(like.memory, like.similarity) for like in again.near] == [(first.memory, 1)]
    assert await world.count() == 2


async def test_what_says_nothing_new_reinforces_what_is_known(world):
    first = await world.tell("Ada lives in Lisbon with a cat and a dog", tags=["a"])
    again = await world.tell("ada lives in  Lisbon with a cat and a dog!", "reinforce", tags=["b"])
    assert not again.added
    assert again.memory.id == first.memory.id
    assert (again.memory.importance, again.memory.tags, again.memory.version) == (1.25, {"a", "b"}, 2)
    assert await world.count() == 1
    assert len(await world.archive.history(first.memory.id, "agent", tenant="default")) == 2


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ("The code of the second door is 154", "The code of the second door is 155"),
        ("Ada said that she lives in Lisbon now", "Ada said that she lives in Lima now"),
        ("The pin of her card is one two three four", "The pin of her card is one two three five"),
        ("The water in the tank is at 20 °C", "The water in the tank is at -20 °C"),
        ("She likes the green tea of her aunt", "She never likes the green tea of her aunt"),
    ],
)
async def test_what_tells_another_fact_is_kept_however_near(world, known, told):
    await world.tell(known)
    assert (await world.tell(told, "reinforce")).added
    assert await world.count() == 2


async def test_what_is_sent_again_with_its_id_reinforces_once(world):
    first = await world.tell("Ada lives in Lisbon")
    name = str(uuid4())
    again = [await world.tell("Ada lives in Lisbon", "reinforce", id=name) for _ in range(2)]
    assert [told.memory.version for told in again] == [2, 2]
    assert [told.memory.id for told in again] == [first.memory.id] * 2
    with pytest.raises(Conflict, match=name):
        await world.tell("Ada lives in Lima", "reinforce", id=name)
    with pytest.raises(Conflict, match=name):
        fields = {"content": "Ada lives in Lisbon", "id": name}
        await world.remembering.remember(fields, "reinforce", agent_id="agent", user_id="another")


async def test_what_was_added_is_not_told_again_by_itself(world):
    name = str(uuid4())
    await world.tell("Ada lives in Lisbon", "reinforce", id=name)
    twin = await world.tell("Ada lives in Lisbon")
    again = await world.tell("Ada lives in Lisbon", "reinforce", id=name)
    assert (str(again.memory.id), again.memory.version) == (name, 1)
    assert await world.archive.history(twin.memory.id, "agent", tenant="default") == [twin.memory]


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"tags": [f"a{n}" for n in range(40)]}, {"tags": [f"b{n}" for n in range(40)]}),
        ({"metadata": {"a": "x" * 9000}}, {"metadata": {"b": "x" * 9000}}),
    ],
)
async def test_what_would_carry_too_much_together_is_kept_by_itself(world, known, told):
    first = await world.tell("Ada lives in Lisbon", **known)
    batch = [{"content": "one"}, {"content": "Ada lives in Lisbon"} | told, {"content": "three"}]
    one, two, three = await world.tell_many(*batch, on_near_duplicate="reinforce")
    assert [outcome.added for outcome in (one, two, three)] == [True] * 3
    assert [like.memory for like in two.near] == [first.memory]
    again = await world.tell("Ada lives in Lisbon", "reinforce", **told)
    assert (again.added, again.memory.id) == (False, two.memory.id)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"content": 5}, "content"), ({}, "content"), ({"contents": "x"}, "contents"), ({"content": "x", 5: 6}, "5"),
        ({"content": "x", "importance": "high"}, "importance"), ({"content": "x", "tags": 5}, "tags"),
        ({"content": "x", "id": 5}, "id"), ({"content": "x", "event_time": "2020"}, "event_time"),
        ("content", "fields"), (["content"], "fields"), (5, "fields"), (None, "fields"),
    ],
)  # fmt: skip
async def test_what_is_no_memory_is_told_in_its_place(world, wrong, field):
    before, refused, after = await world.tell_many({"content": "before"}, wrong, {"content": "after"})
    assert (before.added, refused.field, after.added) == (True, field, True)
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        await world.remembering.remember(wrong, **WHO)


async def test_an_id_that_is_none_is_not_given(world):
    alone = await world.tell("Ada sings", id=None)
    [told] = await world.tell_many({"content": "Ada runs", "id": None})
    assert (alone.added, told.added, alone.memory.id != told.memory.id) == (True, True, True)


async def test_what_takes_no_more_versions_is_kept_beside_what_tells_it_again(world):
    first = await world.tell("Ada lives in Lisbon")
    assert await world.archive.replace(replace(first.memory, version=2**31 - 1), None, 1)
    again = await world.tell("Ada lives in Lisbon", "reinforce")
    assert (again.added, [like.memory.id for like in again.near]) == (True, [first.memory.id])


async def test_what_cannot_be_kept_leaves_the_others_their_results(world, monkeypatch):
    reinforce = world.archive.reinforce

    async def picky(memory, embedding, now):
        if memory.content == "two":
            raise InvalidInput("content", "is not to be had")
        return await reinforce(memory, embedding, now)

    monkeypatch.setattr(world.archive, "reinforce", picky)
    one, two, three = await world.tell_many(
        {"content": "one"}, {"content": "two"}, {"content": "three"}, on_near_duplicate="reinforce"
    )
    assert (one.added, two.field, three.added) == (True, "content", True)


async def test_a_summary_stays_one_when_it_is_told_again(world):
    told = await world.tell("Ada lives in Lisbon")
    place = told.memory.scope.tenant, told.memory.id
    kept = world.store.kept[place]
    world.store.kept[place] = replace(kept, memory=replace(told.memory, condensing=Condensing.SUMMARY))
    again = await world.tell("Ada lives in Lisbon", "reinforce", metadata={"condensed": "no"})
    assert again.memory.is_summary
    assert again.memory.metadata == {"condensed": "no"}


async def test_metadata_of_both_is_kept(world):
    await world.tell("Ada lives in Lisbon", metadata={"source": "mail", "page": 3})
    again = await world.tell("Ada lives in Lisbon", "reinforce", metadata={"source": "call", "who": "Bo"})
    assert again.memory.metadata == {"source": "call", "page": 3, "who": "Bo"}


async def test_another_kind_of_memory_is_another_memory(world):
    await world.tell("Boil the eggs")
    assert (await world.tell("Boil the eggs", "reinforce", memory_type="procedural")).added


async def test_importance_stays_within_its_bounds(world):
    for _ in range(9):
        told = await world.tell("Ada lives in Lisbon", "reinforce")
    assert told.memory.importance == 2


async def test_an_id_that_is_known_brings_back_what_is_kept(world):
    name = str(uuid4())
    first = await world.tell("Ada lives in Lisbon", id=name)
    again = await world.tell("Ada lives in Lisbon", id=name)
    assert (again.added, again.memory) == (False, first.memory)
    with pytest.raises(Conflict, match=name):
        await world.tell("Ada lives in Lima", id=name)


@pytest.mark.parametrize("content", ["milk in the fridge", "butter in the fridge"])
@pytest.mark.parametrize("verb", ["keep", "reinforce", "many", "many to reinforce"])
async def test_what_is_renewed_after_it_has_expired_is_kept(world, content, verb):
    name = str(uuid4())
    first = await world.tell("milk in the fridge", id=name, expires_at=world.now + timedelta(minutes=9))
    world.now += timedelta(hours=1)
    fields = {"content": content, "id": name, "expires_at": world.now + timedelta(hours=1)}
    match verb:
        case "many":
            [told] = await world.tell_many(fields)
        case "many to reinforce":
            [told] = await world.tell_many(fields, on_near_duplicate="reinforce")
        case _:
            told = await world.tell(on_near_duplicate=verb, **fields)
    assert (told.added, told.memory.expires_at, told.memory.version) == (True, fields["expires_at"], 1)
    assert told.memory.created_at > first.memory.created_at
    assert await world.archive.purge(world.clock()) == 0
    assert await world.archive.get(told.memory.id, "agent", tenant="default") == told.memory


async def test_an_id_of_somebody_else_tells_nothing_of_them(world):
    first = await world.tell("a secret")
    fields = {"content": "a secret", "id": first.memory.id}
    with pytest.raises(Conflict):
        await world.remembering.remember(fields, agent_id="agent", user_id="another")


@pytest.mark.parametrize(
    ("fields", "field"), [({"id": "x"}, "id"), ({"id": 5}, "id"), ({"event_time": 5}, "event_time")]
)
async def test_what_is_wrong_is_named(world, fields, field):
    with pytest.raises(InvalidInput) as refusal:
        await world.tell("x", **fields)
    assert refusal.value.field == field


async def test_a_wish_nobody_knows_is_refused(world):
    with pytest.raises(InvalidInput, match="on_near_duplicate"):
        await world.tell("x", "forget")


async def test_keeps_many_and_says_what_is_wrong_with_the_others(world):
    one, two, three, four = await world.tell_many(
        {"content": "first", "tags": ["x"]},
        {"content": ""},
        {"content": "third", "memory_type": "semantic"},
        {"importance": 1},
    )
    assert (one.memory.tags, three.memory.memory_type) == ({"x"}, MemoryType.SEMANTIC)
    assert (two.field, four.field) == ("content", "content")
    assert await world.count() == 2


async def test_among_many_the_same_words_are_recognised(world):
    known = await world.tell("known")
    one, two, three = await world.tell_many({"content": "known"}, {"content": "new"}, {"content": "new"})
    assert one.near[0].memory == known.memory
    assert two.near == ()
    assert three.near[0].memory == two.memory


async def test_among_many_what_is_near_is_reported_by_the_later(world):
    known = await world.tell("the red boat lies in the harbour")
    near, same = "the red boat lies in our harbour", "the red boat lies in the harbour"
    one, _, three = await world.tell_many({"content": near}, {"content": "a cat"}, {"content": same})
    assert [like.memory for like in one.near] == [known.memory]
    assert [(like.memory, like.similarity == 1) for like in three.near] == [(known.memory, True), (one.memory, False)]


async def test_among_many_each_may_reinforce(world):
    one, two = await world.tell_many({"content": "a"}, {"content": "a"}, on_near_duplicate="reinforce")
    assert (one.added, two.added) == (True, False)
    assert await world.count() == 1


async def test_many_that_are_sent_again_are_known(world):
    memories = [{"content": str(n), "id": str(uuid4())} for n in range(3)]
    first, again = await world.tell_many(*memories), await world.tell_many(*memories)
    assert [o.memory for o in first] == [o.memory for o in again]
    assert [o.added for o in again] == [False] * 3
    [clash] = await world.tell_many(memories[0] | {"content": "other"})
    assert isinstance(clash, Conflict)


async def test_refuses_too_many_at_once(world):
    with pytest.raises(InvalidInput, match="memories"):
        await world.tell_many()
    with pytest.raises(InvalidInput, match="memories"):
        await world.tell_many(*[{"content": "x"}] * 501)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ("Bob owes Ada 5 euros", "Ada owes Bob 5 euros"),
        ("She takes the pill before dinner", "She takes the pill after dinner"),
        ("Ada trinkt sehr gern Kaffee am Morgen", "Ada trinkt nicht gern Kaffee am Morgen"),
        ("Ada prefers the window seat over the aisle seat", "Ada prefers the aisle seat over the window seat"),
        ("Ada is home?", "Ada is home."),
        ("Her dose is 1.5 mg.", "Her dose is 1 5 mg."),
        ("us helps US", "US helps us"),
        ("Let's eat, Grandma", "Let's eat Grandma"),
    ],
)
def test_the_same_words_in_another_order_are_another_fact(known, told):
    before, now = (Memory(MemoryId(uuid4()), SCOPE, content, NOON) for content in (known, told))
    assert not tells_nothing_new(now, Likeness(before, 0.9998))
    assert tells_nothing_new(now, Likeness(replace(now, content=f"{told}!"), 0.9998))


def test_the_same_at_another_time_is_another_fact():
    once = Memory(MemoryId(uuid4()), SCOPE, "Ada went to the gym", NOON, event_time=NOON)
    again = replace(once, event_time=NOON + timedelta(days=2))
    assert not tells_nothing_new(again, Likeness(once, 1))
    assert tells_nothing_new(replace(once, event_time=None), Likeness(once, 1))
