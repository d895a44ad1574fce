"""What every `KeyStore` promises, and `Keys` on top of it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.keys import InMemoryKeyStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.keys import PostgresKeyStore
from agent_memory.application.keys import Keys
from agent_memory.domain.errors import InvalidInput, NotFound
from agent_memory.domain.keys import ApiKey, Caller, KeyId, digest_of
from agent_memory.domain.tenants import Reach

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def store(request):
    if request.param == "in_memory":
        yield InMemoryKeyStore()
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 1, 2) as database:
            yield PostgresKeyStore(database)


@pytest.fixture
def tenant():
    return f"t-{uuid4()}"


def made(tenant: str, minute: int = 0, **fields) -> ApiKey:
    key_id = KeyId(uuid4().hex[:16])
    return ApiKey(key_id, digest_of(str(minute)), Reach(tenant), NOW + timedelta(minutes=minute), **fields)


async def test_gives_back_what_it_was_given(store, tenant):
    key = ApiKey(
        KeyId(uuid4().hex[:16]), digest_of("secret"), Reach(tenant, "guide", "ada"), NOW, "for Ada's phone",
        NOW + timedelta(days=1),
    )  # fmt: skip
    await store.add(key)
    assert await store.find(key.id) == key
    assert await store.listed(tenant) == [key]


async def test_knows_no_key_that_was_never_made(store, tenant):
    assert await store.find(KeyId("0" * 16)) is None
    assert await store.listed(tenant) == []
    assert not await store.revoke(KeyId("0" * 16), NOW)


async def test_a_known_key_is_left_as_it_is(store, tenant):
    key = made(tenant)
    await store.add(key)
    await store.add(ApiKey(key.id, digest_of("another"), Reach("another"), NOW))
    assert await store.find(key.id) == key


async def test_lists_those_of_one_tenant_in_the_order_they_were_made(store, tenant):
    later, first, other = made(tenant, 2), made(tenant, 1), made(f"x-{uuid4()}")
    for key in (later, first, other):
        await store.add(key)
    assert await store.listed(tenant) == [first, later]
    assert {first.id, later.id, other.id} <= {key.id for key in await store.listed()}


async def test_what_is_revoked_stays_so_since_when_it_was(store, tenant):
    key = made(tenant)
    await store.add(key)
    assert await store.revoke(key.id, NOW)
    assert await store.revoke(key.id, NOW + timedelta(days=1))
    assert (await store.find(key.id)).revoked_at == NOW


async def test_knows_whether_a_key_was_ever_made(store, tenant):
    key = made(tenant)
    await store.add(key)
    await store.revoke(key.id, NOW)
    assert await store.exist()


async def test_the_text_of_a_key_opens_as_far_as_it_reaches(store, tenant):
    key, text = await Keys(store).create(Reach(tenant, "guide"))
    assert await Keys(store).holder(text) == Caller(Reach(tenant, "guide"), key.id)


async def test_nothing_that_is_kept_of_a_key_opens(store, tenant):
    key, text = await Keys(store).create(Reach(tenant))
    kept = repr(await store.find(key.id)) + (await store.find(key.id)).digest.hex()
    assert text[20:] not in kept
    assert await Keys(store).holder(f"am_{key.id}_{key.digest.hex()[:43]}") is None


@pytest.mark.parametrize(
    "change",
    [lambda t: t[:-1], lambda t: t + "A", lambda t: t.upper(), lambda t: "am_" + t, lambda t: t[:20] + "A" * 43],
)
async def test_what_is_not_the_text_opens_nothing(store, tenant, change):
    _, text = await Keys(store).create(Reach(tenant))
    assert await Keys(store).holder(change(text)) is None


async def test_a_revoked_key_opens_nothing_from_then_on_in_any_process(store, tenant):
    here, there = Keys(store), Keys(store)
    key, text = await here.create(Reach(tenant))
    assert await there.holder(text)
    assert (await here.revoke(key.id)).revoked_at is not None
    assert await there.holder(text) is None
    assert await there.needed()


async def test_an_expired_key_opens_nothing(store, tenant):
    moment = [NOW]
    keys = Keys(store, clock=lambda: moment[0])
    _, text = await keys.create(Reach(tenant), expires_at=NOW + timedelta(hours=1))
    assert await keys.holder(text)
    moment[0] += timedelta(hours=1)
    assert await keys.holder(text) is None


async def test_a_key_that_is_none_cannot_be_revoked(store):
    with pytest.raises(NotFound, match="key"):
        await Keys(store).revoke("nothing")


@pytest.mark.parametrize("name", ["", "Acme", "a b", "-a", "a" * 65, "a\n", "é"])
async def test_a_tenant_has_a_plain_name(store, name):
    with pytest.raises(InvalidInput, match="tenant"):
        await Keys(store).create(Reach(name))


async def test_no_key_is_needed_until_there_is_one():
    keys = Keys(InMemoryKeyStore())
    assert not await keys.needed()
    await keys.create(Reach())
    assert await keys.needed()
