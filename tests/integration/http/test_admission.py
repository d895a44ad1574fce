"""How often one may ask, over HTTP."""

import httpx
import pytest

from agent_memory.bootstrap import limits
from agent_memory.domain.keys import Caller
from agent_memory.domain.tenants import Reach
from agent_memory.entrypoints.http.admission import callers
from agent_memory.entrypoints.http.app import create_app
from agent_memory.settings import MemorySettings, Settings

TENANTS = ["default", "acme", "agent", "a.b"]
ADA = {"agent_id": "guide", "user_id": "ada"}


@pytest.fixture
def settings():
    return Settings(memory=MemorySettings(rate_limit_writes_per_minute=2, rate_limit_searches_per_minute=3))


async def write(client, **options):
    return await client.post("/v1/memories", json=ADA | {"content": "x"}, **options)


async def search(client, **fields):
    return await client.post("/v1/memories/search", json=ADA | {"query": "x"} | fields)


async def test_what_passes_tells_how_much_is_left(client):
    first, second = await write(client), await write(client)
    assert (first.headers["RateLimit-Policy"], first.headers["RateLimit"]) == ('"writes";q=2;w=60', '"writes";r=1;t=60')
    assert second.headers["RateLimit"].startswith('"writes";r=0;t=')
    assert (await search(client)).headers["RateLimit"] == '"searches";r=2;t=60'


async def test_what_is_too_much_has_to_wait(client):
    for _ in range(2):
        assert (await write(client)).status_code == 201
    refused = await write(client)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"writes";r=0;t=')
    assert refused.json()["type"].endswith("rate-limited")
    assert (await client.get("/v1/memories/count", params=ADA)).json()["count"] == 2


async def test_agents_have_limits_of_their_own(client):
    for _ in range(3):
        await search(client)
    assert (await search(client)).status_code == 429
    assert (await search(client, agent_id="another")).status_code == 200


async def test_a_key_has_a_limit_whatever_its_agents(client):
    key = {"Authorization": "Bearer secret"}
    statuses = []
    for agent in ("one", "two", "three"):
        body = {"agent_id": agent, "user_id": "ada", "content": "x"}
        statuses.append((await client.post("/v1/memories", json=body, headers=key)).status_code)
    assert statuses == [201, 201, 429]


async def test_a_tenant_uses_up_no_others_limit(client, application):
    """Neither by an agent of the same name, nor by one whose name reads like another tenant's."""
    shown = [{"Authorization": f"Bearer {(await application.keys.create(Reach(name)))[1]}"} for name in TENANTS]
    agents = ["guide", "guide", "agent guide", "/agent guide", "acme/agent guide"]
    for headers in shown:
        for agent in agents[:2]:
            body = {"agent_id": agent, "user_id": "ada", "content": "x"}
            assert (await client.post("/v1/memories", json=body, headers=headers)).status_code == 201
        assert (await write(client, headers=headers)).status_code == 429
    assert len({caller for name in TENANTS for agent in agents for caller in callers(agent, Caller(Reach(name)))}) == 16


async def test_a_key_uses_up_nothing_of_an_agent_that_it_does_not_reach(client, application):
    foreign, own = [{"x-api-key": (await application.keys.create(Reach(agent_id=who)))[1]} for who in ("bob", "guide")]
    refused = [await write(client, headers=foreign) for _ in range(3)]
    assert [(answer.status_code, answer.headers.get("RateLimit")) for answer in refused] == [(403, None)] * 3
    assert [(await write(client, headers=own)).status_code for _ in range(3)] == [201, 201, 429]
    mine = ADA | {"agent_id": "bob", "content": "x"}
    assert (await client.post("/v1/memories", json=mine, headers=foreign)).status_code == 201


async def test_two_keys_have_limits_of_their_own_and_share_their_agents(client, application):
    shown = [{"x-api-key": (await application.keys.create(Reach()))[1]} for _ in range(2)]
    assert [(await write(client, headers=shown[0])).status_code for _ in range(3)] == [201, 201, 429]
    assert (await write(client, headers=shown[1])).status_code == 429
    other = ADA | {"agent_id": "other", "content": "x"}
    statuses = [(await client.post("/v1/memories", json=other, headers=each)).status_code for each in shown]
    assert statuses == [429, 201]


async def test_what_is_no_name_is_told_before_it_is_counted(client):
    """No limiter's database keeps a NUL."""
    nul = ADA | {"agent_id": "a\0b"}
    for answer in (
        await client.post("/v1/memories", json=nul | {"content": "x"}),
        await client.post("/v1/memories/search", json=nul | {"query": "x"}),
        await client.delete("/v1/memories/x", params=nul),
    ):
        assert (answer.status_code, "RateLimit" in answer.headers) == (422, False)
        assert answer.json()["detail"] == "agent_id: has a NUL character at position 1"


async def test_every_way_to_write_is_a_write(client):
    told = (await write(client)).json()
    path = f"/v1/memories/{told['id']}"
    await client.patch(path, params={"agent_id": "guide"}, json={"importance": 2})
    assert (await client.delete(path, params={"agent_id": "guide"})).status_code == 429
    for route in ("batch", "forget"):
        body = ADA | ({"memories": [{"content": "x"}]} if route == "batch" else {})
        assert (await client.post(f"/v1/memories/{route}", json=body)).status_code == 429


async def test_without_limits_there_are_no_headers(application):
    object.__setattr__(application.gate, "_limits", {})
    transport = httpx.ASGITransport(app=create_app(application))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        for _ in range(5):
            answer = await write(client)
    assert answer.status_code == 201
    assert "RateLimit" not in answer.headers


def test_by_default_there_are_limits_and_a_great_one_is_none():
    assert {kind: limit.calls for kind, limit in limits(Settings()).items()} == {"writes": 60, "searches": 120}
    great = MemorySettings(rate_limit_writes_per_minute=999_999, rate_limit_searches_per_minute=0)
    assert limits(Settings(memory=great)) == {}


async def test_a_batch_is_one_write(client):
    many = [{"content": f"fact {number}"} for number in range(100)]
    assert (await client.post("/v1/memories/batch", json=ADA | {"memories": many})).status_code == 200
    assert (await write(client)).status_code == 201
