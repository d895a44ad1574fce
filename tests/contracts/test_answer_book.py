"""What every `AnswerBook` promises, and `Idempotency` on top of it."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.answers import InMemoryAnswerBook
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.answers import PostgresAnswerBook
from agent_memory.application.idempotency import Idempotency
from agent_memory.domain.answers import Claim
from agent_memory.domain.errors import Conflict, InvalidInput, Unavailable
from agent_memory.domain.semantic.memory import MemoryId, Scope

SCOPE = Scope("agent", "user")
IDS, OTHERS = ([MemoryId(uuid4()), MemoryId(uuid4())] for _ in range(2))


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def book(request):
    if request.param == "in_memory":
        yield InMemoryAnswerBook()
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 4, 8) as database:
            yield PostgresAnswerBook(database)


@pytest.fixture
def key():
    return f"it's %s key {uuid4()}"


async def test_the_first_who_claims_has_the_key(book, key):
    assert await book.claim(key, "one", SCOPE, IDS) == Claim("one", IDS)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("one", IDS)


async def test_the_ids_of_the_first_who_claims_last_as_long_as_its_key(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", IDS)
    await book.settle(key, "yes")
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", IDS, "yes")
    await book.purge(timedelta(0))
    assert await book.claim(key, "one", SCOPE, OTHERS) == Claim("one", OTHERS)


async def test_the_first_answer_stands(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    assert await book.settle(key, "yes") == "yes"
    assert await book.settle(key, "no") == "yes"
    assert await book.claim(key, "one", SCOPE, IDS) == Claim("one", IDS, "yes")


async def test_a_key_without_an_answer_can_be_given_up(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    await book.release(key)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("two", IDS)
    await book.settle(key, "yes")
    await book.release(key)
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("two", IDS, "yes")


async def test_old_keys_are_forgotten(book, key):
    await book.claim(key, "one", SCOPE, IDS)
    await book.purge(timedelta(hours=1))
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("one", IDS)
    assert await book.purge(timedelta(0)) >= 1
    assert await book.claim(key, "two", SCOPE, IDS) == Claim("two", IDS)


async def test_of_many_who_ask_at_once_all_hear_the_same(book, key):
    idempotency = Idempotency(book)

    async def work(ids) -> str:
        await asyncio.sleep(0)
        return str(uuid4())

    answers = await asyncio.gather(*(idempotency.once(key, "request", SCOPE, IDS, work) for _ in range(12)))
    assert len({answer for answer, _ in answers}) == 1
    assert await idempotency.once(key, "request", SCOPE, IDS, work) == (answers[0][0], True)
    with pytest.raises(InvalidInput, match="another request"):
        await idempotency.once(key, "another", SCOPE, IDS, work)


async def test_work_that_is_refused_leaves_the_key_free(book, key):
    idempotency = Idempotency(book)

    async def fails(ids) -> str:
        raise Conflict("it is taken")

    async def works(ids) -> str:
        return "done"

    with pytest.raises(Conflict):
        await idempotency.once(key, "one", SCOPE, IDS, fails)
    assert await idempotency.once(key, "two", SCOPE, IDS, works) == ("done", False)


@pytest.mark.parametrize(
    "end", [Unavailable("the database does not answer"), asyncio.CancelledError(), RuntimeError("broken")]
)
async def test_a_key_stays_with_a_request_of_which_nobody_knows_whether_it_was_done(book, key, monkeypatch, end):
    """Nor is the book asked, which is likely away as well: whoever waits hears at once."""
    idempotency, asked, heard = Idempotency(book), [], []
    monkeypatch.setattr(book, "release", asked.append)

    async def breaks(ids) -> str:
        heard.append(ids)
        raise end

    async def works(ids) -> str:
        heard.append(ids)
        return "done"

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
    assert await book.settle(key, "too late") == "too late"
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
