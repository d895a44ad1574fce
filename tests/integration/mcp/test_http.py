"""/mcp on a real socket: both eras, addresses that fix a scope, origins, limits, sessions and clients that end."""

import asyncio
import contextlib
import json
import logging
import random
from contextlib import asynccontextmanager
from types import MappingProxyType

import httpx
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_clients import User, done, refusal
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.bootstrap import bootstrap
from agent_memory.entrypoints.http.app import create_app
from agent_memory.entrypoints.http.neighbours import hosts_of
from agent_memory.entrypoints.mcp import mount
from agent_memory.entrypoints.serving import Server, bound
from agent_memory.settings import MemorySettings, ModelSettings, ServerSettings, Settings

pytestmark = pytest.mark.integration

ADMIN = "an admin key"
WHO = {"agent_id": "guide", "user_id": "ada"}
LEGACY = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
MODERN = LEGACY | {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
OPENING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def serving(tmp_path):
    """A server on in-memory parts for as long as the context lasts; yields its URL."""

    @asynccontextmanager
    async def serve(**server):
        limits = {"rate_limit_writes_per_minute": server.pop("writes", 0)}
        settings = Settings(
            data_dir=str(tmp_path),
            model=ModelSettings(enabled=False),
            server=ServerSettings(port=0, admin_key=ADMIN, **server),
            memory=MemorySettings(rate_limit_searches_per_minute=0, **limits),
        )
        store = InMemoryMemoryStore()
        parts = {"memory_store": store, "memory_archive": InMemoryMemoryArchive(store)}
        async with bootstrap(settings, embedder=HashingEmbedder(), conversation=None, **parts) as application:
            listening = asyncio.Event()
            with bound(settings.server) as sock:
                app = create_app(application, hosts_of(settings.server))
                server = Server(app, settings.server, listening.set)
                running = asyncio.create_task(server.serve([sock]))
                await listening.wait()
                try:
                    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
                finally:
                    server.should_exit = True
                    await running

    return serve


async def test_both_eras_are_served(serving, era):
    async with serving() as url, Client(f"{url}/mcp", mode=era) as client:
        assert client.protocol_version == ("2025-11-25" if era == "legacy" else "2026-07-28")
        assert client.server_info.name == "agent-memory"
        await done(client, "store_memory", **WHO, content="Ada sings.")
        assert (await done(client, "count_memories", **WHO))["count"] == 1


async def test_a_client_that_does_not_choose_meets_the_newer_one(serving):
    async with serving() as url, Client(f"{url}/mcp/") as client:
        assert client.protocol_version == "2026-07-28"


async def test_an_address_fixes_the_scope(serving, era):
    async with serving() as url, Client(f"{url}/mcp/guide/ada%40example.org", mode=era) as client:
        stored = await done(client, "store_memory", content="Ada sings.")
        assert stored["memory"]["user_id"] == "ada@example.org"
        assert "agent_id: is fixed" in await refusal(client, "count_memories", agent_id="other")
        async with Client(f"{url}/mcp?agent_id=guide&user_id=ada%40example.org", mode=era) as same:
            assert (await done(same, "count_memories"))["count"] == 1
        async with Client(f"{url}/mcp/guide/bob", mode=era) as other:
            assert (await done(other, "count_memories"))["count"] == 0


async def test_the_user_is_asked_over_http(serving, era):
    user = User(agree=True)
    async with serving() as url, Client(f"{url}/mcp", mode=era, elicitation_callback=user) as client:
        for number in range(3):
            await done(client, "store_memory", **WHO, content=f"fact {number}")
        assert (await done(client, "delete_memory", **WHO, where={}))["deleted"] == 3
    assert len(user.asked) == 1


async def test_several_workers_share_no_sessions_and_cannot_ask(serving):
    user = User(agree=True)
    async with serving(workers=2) as url, Client(f"{url}/mcp", mode="legacy", elicitation_callback=user) as client:
        await done(client, "store_memory", **WHO, content="Ada sings.")
        assert "confirm: must be true" in await refusal(client, "delete_memory", **WHO, where={})
        assert (await done(client, "delete_memory", **WHO, where={}, confirm=True))["deleted"] == 1
    assert user.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "https://app.example"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"host": "localhost:8000"}, 200),
        ({"host": "evil.example:8000"}, 421),
        ({"host": "evil.example", "origin": "http://evil.example"}, 421),
    ],
)
@pytest.mark.parametrize("era", [LEGACY, MODERN], ids=["handshake", "stateless"])
async def test_pages_of_elsewhere_are_kept_out(serving, headers, status, era):
    async with serving(cors_origins=("https://app.example",)) as url, httpx.AsyncClient() as client:
        body = OPENING if era is LEGACY else listing()
        answer = await client.post(f"{url}/mcp", json=body, headers=era | headers)
        assert answer.status_code == status
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("era", [LEGACY, MODERN], ids=["handshake", "stateless"])
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/mcp", b"x" * 1_000_001, 413),
        ("/mcp/a/b/c", b"{}", 404),
        ("/mcpfoo", b"{}", 404),
        ("/mcp/a%00b", b"{}", 422),
        ("/mcp", b"", 400),
        ("/mcp", b"{", 400),
        ("/mcp", b"[]", 400),
        ("/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": 7}', 400),
        ("/mcp", b"[" * 100_000, 400),
        ("/mcp", b"\xff", 400),
    ],
)
async def test_what_is_no_message_is_refused(serving, era, path, body, status):
    async with serving(max_body_mb=1) as url, httpx.AsyncClient() as client:
        answer = await client.post(url + path, content=body, headers=era)
        assert answer.status_code == status
        assert answer.headers["x-request-id"]
        if answer.headers["content-type"] == "application/problem+json":
            assert answer.json()["instance"] == path
        assert (await client.get(f"{url}/health")).status_code == 200


async def test_limits_are_those_of_the_routes(serving, era):
    async with serving(writes=2) as url, Client(f"{url}/mcp", mode=era) as client, httpx.AsyncClient() as plain:
        fact = {**WHO, "content": "Ada sings."}
        assert (await plain.post(f"{url}/v1/memories", json=fact)).status_code == 201
        await done(client, "store_memory", **fact)
        told = await refusal(client, "store_memory", **fact)
        assert "2 writes in 60 s are the limit" in told
        assert told.endswith("Wait that long, then call again.")
        assert (await plain.post(f"{url}/v1/memories", json=fact)).status_code == 429


async def test_a_session_ends_with_its_client(serving):
    async with serving() as url, httpx.AsyncClient() as client:
        session = await opened(client, url)
        assert (await client.delete(f"{url}/mcp", headers=session)).status_code == 200
        assert (await client.post(f"{url}/mcp", json=pinging(), headers=session)).status_code == 404


async def test_a_session_is_its_openers_alone(serving):
    async with serving() as url, httpx.AsyncClient() as client:
        session = await opened(client, url)
        assert (await client.post(f"{url}/mcp/guide", json=pinging(), headers=session)).status_code == 404
        other = session | {"authorization": "Bearer other"}
        assert (await client.post(f"{url}/mcp", json=pinging(), headers=other)).status_code == 404
        assert (await client.post(f"{url}/mcp", json=pinging(), headers=session)).status_code == 200


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
async def test_every_revision_with_a_handshake_is_served(serving, version):
    async with serving() as url, httpx.AsyncClient() as client:
        opening = {**OPENING, "params": OPENING["params"] | {"protocolVersion": version}}
        answer = await client.post(f"{url}/mcp/guide/ada", json=opening, headers=LEGACY)
        assert message_in(answer)["result"]["protocolVersion"] == version
        session = LEGACY | {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": version}
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await client.post(f"{url}/mcp/guide/ada", json=ready, headers=session)
        calling = {"name": "store_memory", "arguments": {"content": "Ada sings."}}
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": calling}
        answer = await client.post(f"{url}/mcp/guide/ada", json=call, headers=session)
        assert message_in(answer)["result"]["content"][0]["text"].startswith("Stored: ")


@pytest.mark.parametrize(
    ("elicitation", "asked"), [(None, False), ({}, True), ({"form": {}}, True), ({"url": {}}, False)]
)
async def test_who_can_be_asked_is_what_the_client_says(serving, elicitation, asked):
    async with serving() as url, httpx.AsyncClient() as client:
        async with Client(f"{url}/mcp") as other:
            await done(other, "store_memory", **WHO, content="Ada sings.")
        body = listing() | {"method": "tools/call"}
        body["params"] |= {"name": "delete_memory", "arguments": {**WHO, "where": {}}}
        if elicitation is not None:
            body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": elicitation}
        headers = MODERN | {"mcp-method": "tools/call", "mcp-name": "delete_memory"}
        result = (await client.post(f"{url}/mcp", json=body, headers=headers)).json()["result"]
        assert result["resultType"] == ("input_required" if asked else "complete")
        assert result.get("isError", False) is not asked


async def test_tenants_do_not_meet(serving, era):
    """Each key its own memories; a key for one user fixes that user, whatever the address says."""
    async with serving() as url, httpx.AsyncClient() as plain:
        keys = {}
        for name, reach in {"acme": {}, "beta": {}, "ada": {"user_id": "ada"}}.items():
            tenant = "acme" if name == "ada" else name
            keys[name] = await made(plain, url, tenant=tenant, **reach)

        @asynccontextmanager
        async def client(name, path=""):
            async with (
                httpx2.AsyncClient(headers={"authorization": f"Bearer {keys[name]}"}) as http,
                Client(streamable_http_client(f"{url}/mcp{path}", http_client=http), mode=era) as client,
            ):
                yield client

        async with client("acme") as acme, client("beta") as beta:
            stored = (await done(acme, "store_memory", **WHO, content="Ada sings."))["memory"]["id"]
            assert (await done(beta, "count_memories", **WHO))["count"] == 0
            assert "no memory" in await refusal(beta, "get_memory", agent_id="guide", memory_id=stored)
            assert (await done(beta, "search_memories", **WHO, query="Ada"))["results"] == []
        async with client("ada", "/guide") as ada:
            assert (await done(ada, "count_memories"))["count"] == 1
            assert "user_id: is fixed" in await refusal(ada, "count_memories", user_id="bob")
        without = await plain.post(f"{url}/mcp", json=listing(), headers=MODERN)
        assert without.status_code == 401
        forbidden = MODERN | {"x-api-key": keys["ada"]}
        assert (await plain.post(f"{url}/mcp/guide/bob", json=listing(), headers=forbidden)).status_code == 403


async def test_a_session_that_nobody_uses_ends(serving, monkeypatch):
    monkeypatch.setattr(mount, "_IDLE", 0.1)
    async with serving() as url, httpx.AsyncClient() as client:
        session = await opened(client, url)
        for _ in range(100):
            await asyncio.sleep(0.2)
            if (await client.post(f"{url}/mcp", json=pinging(), headers=session)).status_code == 404:
                break
        else:
            pytest.fail("it never ended")


async def test_a_session_may_end_under_its_requests(serving, caplog):
    """Who asks just then is answered, or told that it has ended; nothing is logged as a fault."""
    dice, told = random.Random(0), []

    async def soon(asking):
        await asyncio.sleep(0.006 * dice.random())
        return await asking

    async with serving() as url, httpx.AsyncClient() as client:
        for _ in range(200):
            session = await opened(client, url)
            changed = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
            bodies = [body for number in range(3) for body in (pinging() | {"id": number}, changed)]
            asking = [client.post(f"{url}/mcp", json=body, headers=session) for body in bodies]
            ending = client.delete(f"{url}/mcp", headers=session)
            told += await asyncio.gather(*map(soon, (*asking, ending)))
    assert {answer.status_code for answer in told} == {200, 202, 404}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_session_ends_though_its_user_still_thinks(serving):
    async with serving() as url, httpx.AsyncClient() as plain:
        async with Client(f"{url}/mcp", mode="legacy") as client:
            for number in range(2):
                await done(client, "store_memory", **WHO, content=f"fact {number}")
        session = await opened(plain, url, {"elicitation": {}})
        deleting = {"name": "delete_memory", "arguments": {**WHO, "where": {}}}
        body = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": deleting}
        async with plain.stream("POST", f"{url}/mcp", json=body, headers=session) as asking:
            lines = asking.aiter_lines()
            while "elicitation/create" not in await anext(lines):
                pass
            assert (await plain.delete(f"{url}/mcp", headers=session)).status_code == 200
        assert (await plain.post(f"{url}/mcp", json=pinging(), headers=session)).status_code == 404


async def test_there_is_room_for_so_many_sessions(serving, monkeypatch):
    monkeypatch.setattr(mount, "_MOST_SESSIONS", 4)
    async with serving() as url, httpx.AsyncClient() as client:
        first = await opened(client, url)
        await opened(client, url)
        refused = await client.post(f"{url}/mcp", json=OPENING, headers=LEGACY)
        assert refused.status_code == 503
        async with Client(f"{url}/mcp", mode="2026-07-28") as modern:
            assert (await done(modern, "count_memories", **WHO))["count"] == 0
        await client.delete(f"{url}/mcp", headers=first)
        await opened(client, url)


async def test_no_tenant_leaves_another_without_sessions(serving, monkeypatch):
    monkeypatch.setattr(mount, "_MOST_SESSIONS", 7)
    async with serving() as url, httpx.AsyncClient() as client:
        room = {}
        for tenant in ("acme", "beta", "gamma"):
            keys = [await made(client, url, tenant=tenant, user_id=user) for user in ("ada", "bob")]
            room[tenant] = 0
            for number in range(7):
                headers = LEGACY | {"x-api-key": keys[number % 2]}
                answer = await client.post(f"{url}/mcp", json=OPENING, headers=headers)
                assert answer.status_code in (200, 503)
                room[tenant] += answer.status_code == 200
        assert room == {"acme": 4, "beta": 2, "gamma": 1}


async def test_an_end_does_not_wait_for_those_who_only_listen(serving):
    async with httpx.AsyncClient(timeout=None) as client:
        async with serving(shutdown_seconds=60) as url:
            session = await opened(client, url)
            stream = client.stream("GET", f"{url}/mcp", headers=session | {"accept": "text/event-stream"})
            answer = await stream.__aenter__()
            assert answer.status_code == 200
            ended = asyncio.ensure_future(drained(answer))
            await asyncio.sleep(0.1)
            assert not ended.done()
        await asyncio.wait_for(ended, 10)
        await stream.__aexit__(None, None, None)


async def test_a_client_that_leaves_while_its_user_thinks_harms_nobody(serving):
    thinking = asyncio.Event()

    async def think(context, params) -> types.ElicitResult:
        thinking.set()
        await asyncio.sleep(3600)
        raise AssertionError

    async with serving(shutdown_seconds=1) as url:
        async with Client(f"{url}/mcp", mode="legacy") as client:
            for number in range(2):
                await done(client, "store_memory", **WHO, content=f"fact {number}")

        async def leave():
            async with Client(f"{url}/mcp", mode="legacy", elicitation_callback=think) as client:
                await client.call_tool("delete_memory", {**WHO, "where": {}})

        leaving = asyncio.create_task(leave())
        await thinking.wait()
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        async with Client(f"{url}/mcp", mode="legacy") as client:
            assert (await done(client, "count_memories", **WHO))["count"] == 2


async def test_the_log_names_the_address_and_the_metrics_no_one(serving, caplog):
    caplog.set_level(logging.INFO, "agent_memory.http")
    async with serving() as url, httpx.AsyncClient() as client:
        await client.post(f"{url}/mcp/guide/ada", json=listing(), headers=MODERN)
        metrics = (await client.get(f"{url}/metrics")).text
    assert any("POST /mcp/guide/ada 200" in record.getMessage() for record in caplog.records)
    assert 'method="POST",route="/mcp",status="200"' in metrics
    assert "guide" not in metrics


def listing():
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}


def pinging():
    return {"jsonrpc": "2.0", "id": 2, "method": "ping"}


def message_in(answer):
    """What a stream of one event says."""
    [data] = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    return json.loads(data.removeprefix("data: "))


async def opened(client, url, capabilities=MappingProxyType({})):
    """The headers of a session that is open."""
    opening = OPENING | {"params": OPENING["params"] | {"capabilities": dict(capabilities)}}
    answer = await client.post(f"{url}/mcp", json=opening, headers=LEGACY)
    assert answer.status_code == 200
    session = LEGACY | {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await client.post(f"{url}/mcp", json=ready, headers=session)).status_code == 202
    return session


async def made(client, url, **reach):
    """A key, which every request needs from now on."""
    answer = await client.post(f"{url}/admin/keys", json=reach, headers={"x-admin-key": ADMIN})
    assert answer.status_code == 201, answer.text
    return answer.json()["key"]


async def drained(answer):
    async for _ in answer.aiter_bytes():
        pass
