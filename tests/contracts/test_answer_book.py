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
from agent_memory.domain.errors import InvalidInput


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
    assert await book.claim(key, "one") == Claim("one")
    assert await book.claim(key, "two") == Claim("one")


async def test_the_first_answer_stands(book, key):
    await book.claim(key, "one")
    assert await book.settle(key, "yes") == "yes"
    assert await book.settle(key, "no") == "yes"
    assert await book.claim(key, "one") == Claim("one", "yes")


async def test_a_key_without_an_answer_can_be_given_up(book, key):
    await book.claim(key, "one")
    await book.release(key)
    assert await book.claim(key, "two") == Claim("two")
    await book.settle(key, "yes")
    await book.release(key)
    assert await book.claim(key, "two") == Claim("two", "yes")


async def test_old_keys_are_forgotten(book, key):
    await book.claim(key, "one")
    await book.purge(timedelta(hours=1))
    assert await book.claim(key, "two") == Claim("one")
    assert await book.purge(timedelta(0)) >= 1
    assert await book.claim(key, "two") == Claim("two")


async def test_of_many_who_ask_at_once_all_hear_the_same(book, key):
    idempotency = Idempotency(book)

    async def work() -> str:
        await asyncio.sleep(0)
        return str(uuid4())

    answers = await asyncio.gather(*(idempotency.once(key, "request", work) for _ in range(12)))
    assert len({answer for answer, _ in answers}) == 1
    assert await idempotency.once(key, "request", work) == (answers[0][0], True)
    with pytest.raises(InvalidInput, match="another request"):
        await idempotency.once(key, "another", work)


async def test_work_that_fails_leaves_the_key_free(book, key):
    idempotency = Idempotency(book)

    async def fails() -> str:
        raise RuntimeError("broken")

    async def works() -> str:
        return "done"

    with pytest.raises(RuntimeError):
        await idempotency.once(key, "one", fails)
    assert await idempotency.once(key, "two", works) == ("done", False)
