"""The door: who needs a key, what a refusal looks like, which pages and names lead here, and running empty."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from litestar import asgi
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from agent_memory.domain.tenants import Reach
from agent_memory.entrypoints.http.app import create_app
from agent_memory.entrypoints.http.door import OPEN
from agent_memory.entrypoints.http.neighbours import hosts_of
from agent_memory.settings import ServerSettings

ADMIN = "the operator's own"
ADA = {"agent_id": "guide", "user_id": "ada"}
COUNT = "/v1/memories/count?agent_id=guide&user_id=ada"
TOKEN = "left for the command line"


@pytest.fixture
def settings(settings):
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, admin_key=ADMIN))


@pytest.fixture
async def key(application):
    _, text = await application.keys.create(Reach())
    return text


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


async def eventually(fact):
    for _ in range(3000):
        if fact():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


def guarded(app) -> list[tuple[str, str]]:
    routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
    return [
        (method, route.path.replace(":str", ""))
        for route in routes
        for method in route.methods - {"OPTIONS"}
        if route.path not in OPEN and not route.path.startswith("/admin/")
    ]


@pytest.mark.parametrize("shown", [{}, bearer("none"), {"x-api-key": "sk-anything"}])
async def test_without_keys_anybody_may_come(client, shown):
    assert (await client.get(COUNT, headers=shown)).status_code == 200


async def test_a_key_of_ours_that_does_not_hold_opens_nothing_though_none_is_needed(client):
    answer = await client.get(COUNT, headers=bearer(f"am_{'0' * 16}_{'A' * 43}"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_with_a_key_every_route_needs_one(app, client, key):
    del key
    assert len(guarded(app)) > 35
    for method, path in guarded(app):
        answer = await client.request(method, path.replace("{", "").replace("}", ""))
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["x-request-id"]


async def test_what_no_route_answers_needs_a_key_as_well(client, key):
    assert (await client.get("/v1/nothing")).status_code == 401
    assert (await client.get("/v1/nothing", headers=bearer(key))).status_code == 404


async def test_what_shows_nothing_of_anybodys_is_open(client, key):
    del key
    for path in ("/health", "/health/ready", "/health/live", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("shape", [bearer, lambda k: {"Authorization": f"bearer  {k} "}, lambda k: {"X-API-Key": k}])
async def test_a_key_may_be_shown_in_either_header(client, key, shape):
    assert (await client.get(COUNT, headers=shape(key))).status_code == 200


@pytest.mark.parametrize(
    "shown", [bearer(""), {"Authorization": "Basic YTpi"}, {"x-api-key": ""}, {"Authorization": "Bearer é".encode()}]
)
async def test_what_is_no_key_opens_nothing(client, key, shown):
    del key
    assert (await client.get(COUNT, headers=shown)).status_code == 401


async def test_a_refusal_has_the_shape_of_the_route(client, key):
    del key
    ours = await client.get(COUNT)
    assert ours.headers["content-type"] == "application/problem+json"
    assert ours.json()["type"] == "urn:agent-memory:problem:unauthorized"
    assert ours.json()["request_id"] == ours.headers["x-request-id"]
    theirs = await client.post("/v1/chat/completions", json={"messages": []})
    assert theirs.json()["error"]["type"] == "authentication_error"


async def test_a_revoked_key_opens_nothing_from_then_on(client, application, key):
    [made] = await application.keys.listed()
    await application.keys.revoke(made.id)
    assert (await client.get(COUNT, headers=bearer(key))).status_code == 401


async def test_revoking_the_last_key_lets_nobody_in(client, application, key):
    del key
    [made] = await application.keys.listed()
    await application.keys.revoke(made.id)
    assert (await client.get(COUNT)).status_code == 401


async def test_an_expired_key_opens_nothing(client, application):
    _, text = await application.keys.create(Reach(), expires_at=datetime.now(UTC) + timedelta(milliseconds=20))
    await asyncio.sleep(0.03)
    assert (await client.get(COUNT, headers=bearer(text))).status_code == 401


async def test_a_mounted_application_is_behind_the_door_too(application, app, key):
    @asgi("/mounted", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["state"]["caller"].reach.tenant.encode()})

    app.register(mounted)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.get("/mounted/x")).status_code == 401
        assert (await client.get("/mounted/x", headers=bearer(key))).text == "default"
        _, acme = await application.keys.create(Reach("acme"))
        assert (await client.get("/mounted/x", headers=bearer(acme))).text == "acme"


async def test_who_waits_at_the_door_is_told_when_the_server_ends(app, client, application, monkeypatch):
    waits = asyncio.Event()

    async def needed():
        waits.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(application.keys, "needed", needed)
    asking = asyncio.create_task(client.get(COUNT))
    await waits.wait()
    asking.cancel()  # as the server does when its patience is over
    answer = await asking
    assert (answer.status_code, answer.json()["detail"]) == (503, "the server is shutting down")


async def test_unless_the_operator_lets_anybody_in(application, key):
    server = msgspec.structs.replace(application.settings.server, allow_unauthenticated=True)
    application = type(application)(**{
        name: getattr(application, name) for name in application.__dataclass_fields__
    } | {"settings": msgspec.structs.replace(application.settings, server=server)})  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(application)), base_url="http://s") as client:
        assert (await client.get(COUNT)).status_code == 200
        assert (await client.get(COUNT, headers=bearer("sk-other"))).status_code == 200
        assert (await client.get(COUNT, headers=bearer(key[:-1] + "_"))).status_code == 401


async def test_the_command_lines_own_key_opens_everything(application, key):
    del key
    app = create_app(application, token=TOKEN)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        assert (await client.get(COUNT, headers=bearer(TOKEN))).status_code == 200
        assert (await client.get("/admin/keys", headers={"X-Admin-Key": TOKEN})).status_code == 200


async def test_metrics_are_the_operators_once_there_are_keys(client, application):
    assert (await client.get("/metrics")).status_code == 200
    _, acme = await application.keys.create(Reach("acme"))
    _, own = await application.keys.create(Reach())
    assert (await client.get("/metrics")).status_code == 401
    assert (await client.get("/metrics", headers=bearer(acme))).status_code == 403
    assert (await client.get("/metrics", headers=bearer(own))).status_code == 200
    assert (await client.get("/metrics", headers={"X-Admin-Key": ADMIN})).status_code == 200


async def test_a_browser_hears_a_refusal_and_asks_first_without_a_key(client, key):
    del key
    page = {"Origin": "https://app.example"}
    assert (await client.get(COUNT, headers=page)).headers["access-control-allow-origin"] == "https://app.example"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-api-key"}
    answer = await client.options("/v1/memories", headers=page | asked)
    assert answer.status_code == 204
    assert {"authorization", "x-api-key"} <= set(answer.headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example", 200),
        ("http://server", 200),
        ("https://evil.example", 403),
        ("http://server.evil.example", 403),
        ("https://SERVER:81", 200),
        ("http://localhost", 403),
        ("http://[", 403),
        ("null", 403),
        ("", 403),
        ("[", 403),
    ],
)
async def test_foreign_pages_are_refused(client, origin, status):
    assert (await client.get(COUNT, headers={"Origin": origin})).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("localhost.", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("box.example:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("[::2]", 421),
    ],
)
async def test_on_loopback_it_answers_to_its_own_names_only(application, host, status):
    hosts = hosts_of(ServerSettings(allowed_hosts=("box.example",)))
    transport = httpx.ASGITransport(create_app(application, hosts))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.get("/health/live", headers={"Host": host})).status_code == status


async def test_on_loopback_other_pages_of_this_machine_may_ask(application):
    transport = httpx.ASGITransport(create_app(application, hosts_of(ServerSettings())))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        for origin, status in (("http://localhost:6274", 200), ("http://[::1]:1", 200), ("http://box.example", 403)):
            assert (await client.get(COUNT, headers={"Origin": origin})).status_code == status


def test_elsewhere_it_answers_to_any_name_unless_it_is_told_which():
    assert hosts_of(ServerSettings(host="0.0.0.0")) is None
    assert hosts_of(ServerSettings(host="127.0.0.1", allowed_hosts=("*",))) is None
    assert "box.example" in hosts_of(ServerSettings(host="0.0.0.0", allowed_hosts=("Box.example",)))


async def test_keys_are_made_listed_and_revoked_by_the_admin(client):
    admin = {"X-Admin-Key": ADMIN}
    asked = {"tenant": "acme", "agent_id": "guide", "name": "for the guide", "expires_at": "2100-01-01T00:00:00Z"}
    made = await client.post("/admin/keys", json=asked, headers=admin)
    assert made.status_code == 201
    text = made.json().pop("key")
    assert (await client.get(COUNT, headers=bearer(text))).status_code == 200
    listed = await client.get("/admin/keys?tenant=acme", headers=admin)
    assert listed.json()["keys"] == [{name: value for name, value in made.json().items() if name != "key"}]
    assert text not in listed.text
    assert (await client.get("/admin/keys?tenant=other", headers=admin)).json() == {"keys": []}
    path = f"/admin/keys/{made.json()['key_id']}"
    assert (await client.delete(path, headers=admin)).json()["status"] == "revoked"
    assert (await client.delete(path, headers=admin)).status_code == 200
    assert (await client.get(COUNT, headers=bearer(text))).status_code == 401
    assert (await client.delete("/admin/keys/none", headers=admin)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tenant": "A B"}, "tenant"),
        ({"expires_at": "2000-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2100-01-01T00:00:00"}, "expires_at"),
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": "\0"}, "agent_id"),
        ({"scope": "x"}, "scope"),
    ],
)
async def test_what_cannot_be_a_key_is_named(client, body, field):
    answer = await client.post("/admin/keys", json=body, headers={"X-Admin-Key": ADMIN})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"#/{field}"


async def test_a_server_runs_empty_and_goes_on(client, conversation):
    admin = {"X-Admin-Key": ADMIN}
    conversation.script = ["slow", 0.3, "ly"]
    running = asyncio.create_task(
        client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})
    )
    await eventually(lambda: conversation.prompts)
    hasty = (await client.post("/admin/drain", json={"timeout_seconds": 0}, headers=admin)).json()
    assert hasty == {"draining": True, "running": 1, "drained": False}
    refused = await client.get(COUNT)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert (await client.get("/health")).json()["status"] == "draining"
    assert (await client.get("/health/ready")).status_code == 503
    patient = (await client.post("/admin/drain", json={}, headers=admin)).json()
    assert patient == {"draining": True, "running": 0, "drained": True}
    assert (await running).json()["choices"][0]["message"]["content"] == "slowly"
    assert (await client.get("/admin/drain", headers=admin)).json() == patient
    assert not (await client.post("/admin/resume", headers=admin)).json()["draining"]
    assert (await client.get(COUNT)).status_code == 200


async def test_health_is_answered_while_hundreds_wait(client, conversation):
    conversation.script = [0.5, "at last"]
    body = {"messages": [{"role": "user", "content": "x"}]}
    waiting = [asyncio.create_task(client.post("/v1/chat/completions", json=body)) for _ in range(200)]
    await eventually(lambda: len(conversation.prompts) == 200)
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get("/metrics")).status_code == 200
    assert not any(each.done() for each in waiting)
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
