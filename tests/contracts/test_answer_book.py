"""What every `AnswerBook` promises, and `Idempotency` on top of it."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import pytest
from scopes import NOW, entry, memory_in

from agent_memory.adapters.in_memory.answers import InMemoryAnswerBook
from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.answers import PostgresAnswerBook
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.idempotency import Idempotency
from agent_memory.domain.answers import Claim
from agent_memory.domain.errors import Conflict, Forgotten, InvalidInput, Unavailable
from agent_memory.domain.semantic.memory import Condensing, MemoryId, Scope
from agent_memory.domain.semantic.selection import EVERYTHING
from agent_memory.ports.answers import AnswerBook
from agent_memory.ports.semantic import CondensingStore, MemoryArchive, MemoryStore

SCOPE = Scope("agent", "user")
IDS, OTHERS = ([MemoryId(uuid4()), MemoryId(uuid4())] for _ in range(2))


@dataclass(frozen=True)
class Room:
    """A book, and the memories that its answers tell."""

    book: AnswerBook
    store: MemoryStore
    archive: MemoryArchive
    condensing: CondensingStore


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def room(request):
    if request.param == "in_memory":
        store = InMemoryMemoryStore()
        yield Room(InMemoryAnswerBook(store), store, InMemoryMemoryArchive(store), InMemoryCondensingStore(store))
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 4, 8) as database:
            store, archive = PostgresMemoryStore(database), PostgresMemoryArchive(database)
            yield Room(PostgresAnswerBook(database), store, archive, PostgresCondensingStore(database))


@pytest.fixture
def book(room):
    return room.book


@pytest.fixture
def key():
    return f"it's %s key {uuid4()}"


async def test_the_first_who_claims_has_the_key(book, key):
    assert await book.claim(key, "one", SCOPE, IDS) == Claim("one", IDS)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("one", IDS)


async def test_the_ids_of_the_first_who_claims_last_as_long_as_its_key(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", IDS)
    await book.settle(key, "yes", [])
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", IDS, "yes")
    await book.purge(timedelta(0))
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", OTHERS)


async def test_the_first_answer_stands(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    assert await book.settle(key, "yes", []) == "yes"
    assert await book.settle(key, "no", []) == "yes"
    assert await book.claim(key, "one", SCOPE, IDS) == Claim("one", IDS, "yes")


async def test_a_key_without_an_answer_can_be_given_up(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    await book.release(key)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("two", IDS)
    await book.settle(key, "yes", [])
    await book.release(key)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("two", IDS, "yes")


async def test_a_key_that_was_claimed_again_for_its_request_is_not_given_up(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    await book.claim(key, "two", SCOPE, OTHERS)  # another request, which is refused
    await book.release(key)
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", OTHERS)
    await book.claim(key, "one", SCOPE, IDS)
    await book.release(key)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("one", OTHERS)
    await book.purge(timedelta(0))
    await book.claim(key, "two", SCOPE, IDS)
    await book.release(key)
    assert await book.claim(key, "three", SCOPE, IDS) == Claim("three", IDS)


async def test_old_keys_are_forgotten(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    await book.purge(timedelta(hours=1))
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("one", IDS)
    assert await book.purge(timedelta(0)) >= 1
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("two", IDS)


async def test_of_many_who_ask_at_once_all_hear_the_same(book, key):
    idempotency = Idempotency(book)

    async def work(ids):
        await asyncio.sleep(0)
        return str(uuid4()), []

    answers = await asyncio.gather(*(idempotency.once(key, "request", SCOPE, IDS, work) for _ in range(12)))
    assert len({answer for answer, _ in answers}) == 1
    assert await idempotency.once(key, "request", SCOPE, IDS, work) == (answers[0][0], True)
    with pytest.raises(InvalidInput, match="another request"):
        await idempotency.once(key, "another", SCOPE, IDS, work)


async def test_work_that_is_refused_leaves_the_key_free(book, key):
    idempotency = Idempotency(book)

    async def fails(ids):
        raise Conflict("it is taken")

    async def works(ids):
        return "done", []

    with pytest.raises(Conflict):
        await idempotency.once(key, "one", SCOPE, IDS, fails)
    assert await idempotency.once(key, "two", SCOPE, IDS, works) == ("done", False)


async def test_a_refused_retry_leaves_the_key_with_the_ids_of_the_attempt_that_was_cut_off(book, key):
    idempotency, heard = Idempotency(book), []

    def ends(end):
        async def work(ids):
            heard.append(ids)
            raise end

        return work

    async def works(ids):
        heard.append(ids)
        return "done", []

    for end in (asyncio.CancelledError(), Conflict("it has been revised")):
        with pytest.raises(type(end)):
            await idempotency.once(key, "one", SCOPE, IDS, ends(end))
    assert await idempotency.once(key, "one", SCOPE, OTHERS, works) == ("done", False)
    assert heard == [IDS, IDS, IDS]


@pytest.mark.parametrize("refused", [0, 1])
async def test_an_attempt_that_is_refused_leaves_the_key_to_one_that_works_meanwhile(book, key, refused):
    idempotency, at_work, may_end = Idempotency(book), asyncio.Semaphore(0), [asyncio.Event(), asyncio.Event()]

    async def attempt(number):
        async def work(ids):
            at_work.release()
            await may_end[number].wait()
            if number == refused:
                raise Conflict("it is taken")
            return "done", []

        return await idempotency.once(key, "one", SCOPE, [IDS, OTHERS][number], work)

    attempts = []
    for number in (0, 1):
        attempts.append(asyncio.create_task(attempt(number)))
        await at_work.acquire()
    may_end[refused].set()
    with pytest.raises(Conflict):
        await attempts[refused]
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", IDS)
    may_end[1 - refused].set()
    assert await attempts[1 - refused] == ("done", False)
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", IDS, "done")


@pytest.mark.parametrize(
    "end", [Unavailable("the database does not answer"), asyncio.CancelledError(), RuntimeError("broken")]
)
async def test_a_key_stays_with_a_request_of_which_nobody_knows_whether_it_was_done(book, key, monkeypatch, end):
    """Nor is the book asked, which is likely away as well: whoever waits hears at once."""
    idempotency, asked, heard = Idempotency(book), [], []
    monkeypatch.setattr(book, "release", asked.append)

    async def breaks(ids):
        heard.append(ids)
        raise end

    async def works(ids):
        heard.append(ids)
        return "done", []

    with pytest.raises(type(end)):
        await idempotency.once(key, "one", SCOPE, IDS, breaks)
    assert asked == []
    with pytest.raises(InvalidInput, match="another request"):
        await idempotency.once(key, "two", SCOPE, OTHERS, works)
    assert await idempotency.once(key, "one", SCOPE, OTHERS, works) == ("done", False)
    assert await idempotency.once(key, "one", SCOPE, OTHERS, works) == ("done", True)
    assert heard == [IDS, IDS]


async def test_what_was_answered_about_a_user_is_erased(book, key):
    ada = Scope("agent", f"ada {key}")
    await book.claim(key, "one", ada, IDS)
    await book.erase(ada.user_id, "another", tenant=ada.tenant)
    assert await book.claim(key, "two", ada, IDS) == Claim("one", IDS)
    await book.erase(ada.user_id, "agent", tenant=ada.tenant)
    assert await book.settle(key, "too late", []) == "too late"
    assert await book.claim(key, "two", ada, IDS) == Claim("two", IDS)
    await book.erase(ada.user_id, None, tenant=ada.tenant)
    assert await book.claim(key, "three", ada, IDS) == Claim("three", IDS)


async def test_what_another_tenant_was_answered_about_a_user_of_that_name_stays(book, key):
    ada = Scope("agent", f"ada {key}", "another")
    await book.claim(key, "one", ada, IDS)
    await book.erase(ada.user_id, None, tenant="default")
    assert await book.claim(key, "two", ada, IDS) == Claim("one", IDS)
    await book.erase(ada.user_id, None, tenant="another")
    assert await book.claim(key, "two", ada, IDS) == Claim("two", IDS)


async def removed(room, memory):
    await room.store.add(*await entry(memory))
    yield
    assert await room.store.remove(memory.id, memory.scope.agent_id, tenant=memory.scope.tenant)


async def superseded_and_removed(room, memory):
    await room.store.add(*await entry(memory))
    await room.archive.supersede(memory.id, *await entry(memory_in(memory.scope)))
    yield
    assert await room.store.remove(memory.id, memory.scope.agent_id, tenant=memory.scope.tenant)


async def selected(room, memory):
    await room.store.add(*await entry(memory))
    yield
    assert await room.archive.remove_selected(memory.scope, EVERYTHING, NOW) == 1


async def expired(room, memory):
    await room.store.add(*await entry(replace(memory, expires_at=NOW)))
    yield
    assert await room.archive.purge(NOW)


async def erased(room, memory):
    await room.store.add(*await entry(memory))
    yield
    scope = memory.scope
    assert (await room.archive.erase(scope.user_id, scope.agent_id, NOW, tenant=scope.tenant)).memories == 1


async def undone(room, memory):
    former = memory_in(memory.scope)
    await room.store.add(*await entry(former))
    await room.archive.supersede(former.id, *await entry(memory))
    yield
    assert await room.condensing.restore(memory.id, memory.scope.agent_id, tenant=memory.scope.tenant, now=NOW) == 1


async def dissolved(room, memory):
    sources = [memory_in(memory.scope), memory_in(memory.scope)]
    await room.archive.add_many([await entry(source) for source in sources])
    summary = await entry(replace(memory, condensing=Condensing.SUMMARY))
    assert await room.condensing.stand_for(sources, *summary, NOW)
    yield
    assert await room.store.remove(sources[0].id, memory.scope.agent_id, tenant=memory.scope.tenant)


@pytest.fixture(params=[removed, superseded_and_removed, selected, expired, erased, undone, dissolved])
def way(request):
    """Keeps a memory, and forgets it."""
    return request.param


@pytest.fixture
def ada(key):
    return Scope(f"agent {key}", "ada")


@pytest.mark.parametrize("known_before", [False, True])
async def test_an_answer_that_tells_what_is_forgotten_is_forgotten(room, key, ada, way, known_before):
    memory = memory_in(ada)
    made = [MemoryId(uuid4())] if known_before else [memory.id]
    await room.book.claim(key, "one", ada, made)
    steps = way(room, memory)
    await anext(steps)
    assert await room.book.settle(key, "yes", [memory.id]) == "yes"
    claim = await room.book.claim(key, "one", ada, OTHERS)
    assert (claim.answer, claim.forgotten) == ("yes", False)
    assert await anext(steps, None) is None
    claim = await room.book.claim(key, "one", ada, OTHERS)
    assert (claim.answer, claim.forgotten) == (None, True)

    async def work(ids):
        raise AssertionError("it is made again")

    with pytest.raises(Forgotten, match="needs a new key"):
        await Idempotency(room.book).once(key, "one", ada, OTHERS, work)


async def test_what_is_forgotten_before_it_is_answered_is_not_made_again(room, key, ada, way):
    memory = memory_in(ada)
    await room.book.claim(key, "one", ada, [memory.id])
    async for _ in way(room, memory):
        pass
    gone = Claim("one", [memory.id], forgotten=True)
    assert await room.book.claim(key, "one", ada, OTHERS) == gone
    assert await room.book.settle(key, "yes", [memory.id]) == "yes"  # to whoever still waits for it
    await room.book.release(key)
    assert await room.book.claim(key, "one", ada, OTHERS) == gone


async def test_what_was_known_and_is_forgotten_before_it_is_answered_is_not_written_down(room, key, ada):
    known = memory_in(ada)
    await room.book.claim(key, "one", ada, IDS)
    async for _ in removed(room, known):
        pass
    assert await room.book.settle(key, "yes", [known.id, known.id]) == "yes"
    assert await room.book.claim(key, "one", ada, IDS) == Claim("one", [*IDS, known.id], forgotten=True)


async def test_what_another_tenant_forgets_under_the_same_id_is_another_thing(room, key, ada):
    memory = memory_in(ada)
    await room.book.claim(key, "one", ada, [memory.id])
    await room.store.add(*await entry(memory))
    await room.book.settle(key, "yes", [memory.id])
    async for _ in removed(room, replace(memory, scope=replace(ada, tenant="another"))):
        pass
    assert (await room.book.claim(key, "one", ada, IDS)).answer == "yes"


async def added(room, memory):
    return await room.store.add(*await entry(memory), now=NOW)


async def added_in_a_batch(room, memory):
    return await room.archive.add_many([await entry(memory)], NOW) == [True]


async def told(room, memory):
    return await room.archive.tell_many([await entry(memory)], NOW) != [None]


async def reinforced(room, memory):
    return (await room.archive.reinforce(*await entry(memory), NOW)).added


@pytest.fixture(params=[added, added_in_a_batch, told, reinforced])
def keep_again(request):
    return request.param


async def test_what_makes_room_for_the_same_id_leaves_a_key_without_an_answer_as_it_is(room, key, ada, keep_again):
    """The first attempt was cut off, and what it had kept has expired since."""
    memory = memory_in(ada)
    await room.book.claim(key, "one", ada, [memory.id])
    await room.store.add(*await entry(replace(memory, expires_at=NOW)))
    await room.book.claim(key, "one", ada, OTHERS)
    assert await keep_again(room, memory)
    assert await room.book.settle(key, "yes", [memory.id]) == "yes"
    assert await room.book.claim(key, "one", ada, OTHERS) == Claim("one", [memory.id], "yes")
    assert await room.store.remove(memory.id, ada.agent_id, tenant=ada.tenant)
    assert (await room.book.claim(key, "one", ada, OTHERS)).forgotten


async def test_an_answer_that_tells_what_made_room_is_forgotten(room, key, ada, keep_again):
    memory = memory_in(ada)
    await room.book.claim(key, "one", ada, [memory.id])
    await room.store.add(*await entry(replace(memory, expires_at=NOW)))
    await room.book.settle(key, "yes", [memory.id])
    assert await keep_again(room, memory)
    assert await room.book.claim(key, "one", ada, OTHERS) == Claim("one", [memory.id], forgotten=True)
