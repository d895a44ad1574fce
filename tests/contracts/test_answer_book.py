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
from agent_memory.domain.errors import InvalidInput, Unavailable
from agent_memory.domain.semantic.memory import Scope

SCOPE = Scope("agent", "user")


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
    assert await book.claim(key, "one", SCOPE) == Claim("one")
    assert await book.claim(key, "two", SCOPE) == Claim("one")


async def test_the_first_answer_stands(book, key):
    await book.claim(key, "one", SCOPE)
    assert await book.settle(key, "yes") == "yes"
    assert await book.settle(key, "no") == "yes"
    assert await book.claim(key, "one", SCOPE) == Claim("one", "yes")


async def test_a_key_without_an_answer_can_be_given_up(book, key):
    await book.claim(key, "one", SCOPE)
    await book.release(key)
    assert await book.claim(key, "two", SCOPE) == Claim("two")
    await book.settle(key, "yes")
    await book.release(key)
    assert await book.claim(key, "two", SCOPE) == Claim("two", "yes")


async def test_old_keys_are_forgotten(book, key):
    await book.claim(key, "one", SCOPE)
    await book.purge(timedelta(hours=1))
    assert await book.claim(key, "two", SCOPE) == Claim("one")
    assert await book.purge(timedelta(0)) >= 1
    assert await book.claim(key, "two", SCOPE) == Claim("two")


async def test_of_many_who_ask_at_once_all_hear_the_same(book, key):
    idempotency = Idempotency(book)

    async def work() -> str:
        await asyncio.sleep(0)
        return str(uuid4())

    answers = await asyncio.gather(*(idempotency.once(key, "request", SCOPE, work) for _ in range(12)))
    assert len({answer for answer, _ in answers}) == 1
    assert await idempotency.once(key, "request", SCOPE, work) == (answers[0][0], True)
    with pytest.raises(InvalidInput, match="another request"):
        await idempotency.once(key, "another", SCOPE, work)


async def test_work_that_fails_leaves_the_key_free(book, key):
    idempotency = Idempotency(book)

    async def fails() -> str:
        raise RuntimeError("broken")

    async def works() -> str:
        return "done"

    with pytest.raises(RuntimeError):
        await idempotency.once(key, "one", SCOPE, fails)
    assert await idempotency.once(key, "two", SCOPE, works) == ("done", False)


@pytest.mark.parametrize("end", [Unavailable("the database does not answer"), asyncio.CancelledError()])
async def test_a_key_stays_with_a_request_of_which_nobody_knows_whether_it_was_done(book, key, monkeypatch, end):
    """Nor is the book asked, which is likely away as well: whoever waits hears at once."""
    idempotency, asked = Idempotency(book), []
    monkeypatch.setattr(book, "release", asked.append)

    async def breaks() -> str:
        raise end

    async def works() -> str:
        return "done"

    with pytest.raises(type(end)):
        await idempotency.once(key, "one", SCOPE, breaks)
    assert asked == []
    with pytest.raises(InvalidInput, match="another request"):
        await idempotency.once(key, "two", SCOPE, works)
    assert await idempotency.once(key, "one", SCOPE, works) == ("done", False)
    assert await idempotency.once(key, "one", SCOPE, works) == ("done", True)


async def test_what_was_answered_about_a_user_is_erased(book, key):
    ada = Scope("agent", f"ada {key}")
    await book.claim(key, "one", ada)
    await book.erase(ada.user_id, "another", tenant=ada.tenant)
    assert await book.claim(key, "two", ada) == Claim("one")
    await book.erase(ada.user_id, "agent", tenant=ada.tenant)
    assert await book.settle(key, "too late") == "too late"
    assert await book.claim(key, "two", ada) == Claim("two")
    await book.erase(ada.user_id, None, tenant=ada.tenant)
    assert await book.claim(key, "three", ada) == Claim("three")


async def test_what_another_tenant_was_answered_about_a_user_of_that_name_stays(book, key):
    ada = Scope("agent", f"ada {key}", "another")
    await book.claim(key, "one", ada)
    await book.erase(ada.user_id, None, tenant="default")
    assert await book.claim(key, "two", ada) == Claim("one")
    await book.erase(ada.user_id, None, tenant="another")
    assert await book.claim(key, "two", ada) == Claim("two")
