"""Two tenants with the same names, ids and words, on every route: neither sees, counts, changes or times the other.

What a route is told to do by one tenant, the other tenant looks at afterwards.
"""

import json
from uuid import uuid4

import pytest
from litestar.routes import HTTPRoute

from agent_memory.domain.tenants import Reach
from agent_memory.entrypoints.http.door import OPEN

pytestmark = pytest.mark.usefixtures("toy_model")

ADA = {"agent_id": "guide", "user_id": "ada"}
WHO = "agent_id=guide&user_id=ada"
ID = str(uuid4())
LONG = "The harbour, the market and the three bridges, one after the other. " * 3
MESSAGES = [{"role": "user", "content": LONG}]
CHAT = {"messages": MESSAGES, "temperature": 0, "max_tokens": 4}
OTHERS_ARE_ABSENT = {
    ("GET", "/v1/memories/{memory_id}"): f"/v1/memories/{ID}?{WHO}",
    ("PATCH", "/v1/memories/{memory_id}"): f"/v1/memories/{ID}?agent_id=guide",
    ("DELETE", "/v1/memories/{memory_id}"): f"/v1/memories/{ID}?agent_id=guide",
    ("GET", "/v1/memories/{memory_id}/history"): f"/v1/memories/{ID}/history?agent_id=guide",
    ("POST", "/v1/memories/{memory_id}/supersede"): f"/v1/memories/{ID}/supersede?agent_id=guide",
    ("POST", "/v1/memories/{memory_id}/restore"): f"/v1/memories/{ID}/restore?agent_id=guide",
    ("GET", "/v1/agents/{agent_id}"): "/v1/agents/mine",
    ("DELETE", "/v1/agents/{agent_id}"): "/v1/agents/mine",
    ("POST", "/v1/agents/{agent_id}/pin"): "/v1/agents/mine/pin",
    ("POST", "/v1/agents/{agent_id}/unpin"): "/v1/agents/mine/unpin",
    ("PUT", "/v1/agents/{agent_id}/ttl"): "/v1/agents/mine/ttl",
    ("POST", "/v1/agents/{agent_id}/warm"): "/v1/agents/mine/warm",
    ("POST", "/v1/agents/{agent_id}/fork"): "/v1/agents/mine/fork",
    ("GET", "/v1/agents/{agent_id}/export"): "/v1/agents/mine/export",
}
"""Asked of what is another tenant's, they answer 404, as for what never was."""
BODIES = {"PATCH": {"content": "changed"}, "supersede": {"content": "changed"}, "ttl": {"ttl_seconds": 1}, "fork": {}}
TESTED_BY_NAME = {
    ("POST", "/v1/memories"), ("POST", "/v1/memories/search"), ("GET", "/v1/memories/count"),
    ("POST", "/v1/memories/list"), ("POST", "/v1/memories/batch"), ("POST", "/v1/memories/condense"),
    ("POST", "/v1/memories/forget"), ("DELETE", "/v1/users/{user_id}"), ("GET", "/v1/memories/stats"),
    ("GET", "/v1/memories/export"), ("POST", "/v1/memories/import"), ("POST", "/v1/chat/completions"),
    ("POST", "/v1/agents"), ("GET", "/v1/agents"), ("POST", "/v1/agents/import"),
    ("POST", "/v1/agents/{agent_id}/generate"), ("GET", "/v1/caches"), ("POST", "/v1/caches/explain"),
    ("POST", "/v1/caches/verify"), ("POST", "/v1/caches/gc"), ("GET", "/metrics"),
    ("POST", "/v1/messages"), ("POST", "/v1/completions"), ("POST", "/v1/responses"),
    ("GET", "/v1/responses/{response_id}"), ("DELETE", "/v1/responses/{response_id}"),
}  # fmt: skip
NOBODYS = {
    ("GET", "/v1/models"), ("GET", "/v1/models/{model_id:path}"), ("POST", "/v1/embeddings"),
    ("POST", "/v1/messages/count_tokens"), ("POST", "/api/event_logging/batch"),
    ("GET", "/docs/{path}"), ("GET", "/docs/openapi.json"),
}  # fmt: skip


class Tenant:
    def __init__(self, client, text) -> None:
        self._client = client
        self._key = {"Authorization": f"Bearer {text}"}

    async def ask(self, method, path, body=None, status=None, headers=(), **more):
        sent = {**self._key, **dict(headers)}
        if body is not None:
            more["content"] = json.dumps(body)
        answer = await self._client.request(method, path, headers=sent, **more)
        assert answer.status_code == (status or answer.status_code), answer.text
        return answer

    async def told(self, method, path, body=None, **more):
        answer = await self.ask(method, path, body, **more)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    async def everything(self):
        """All that this tenant can see of itself, which nothing that another does may change."""
        seen = [
            await self.told("GET", f"/v1/memories/stats?{WHO}"),
            (await self.ask("GET", f"/v1/memories/export?{WHO}", status=200)).text,
            await self.told("POST", "/v1/memories/list", ADA),
            await self.told("GET", "/v1/agents"),
        ]
        found = await self.told("POST", "/v1/memories/search", ADA | {"query": "red boat", "explain": True})
        found.pop("took_ms", None)
        return json.dumps([*seen, found["results"]], sort_keys=True)


@pytest.fixture
async def tenants(application, client):
    made = [await application.keys.create(Reach(name)) for name in ("acme", "bolt")]
    return [Tenant(client, text) for _, text in made]


@pytest.fixture
async def mine(tenants):
    """The first tenant, with memories and an agent."""
    first = tenants[0]
    await first.told("POST", "/v1/memories", ADA | {"id": ID, "content": "the red boat"})
    await first.told("POST", "/v1/agents", {"agent_id": "mine"})
    return first


def test_every_route_is_among_the_tested(app):
    """Whoever adds a route says here how it keeps tenants apart."""
    routes = {
        (method, route.path.replace(":str", ""))
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path not in OPEN and not route.path.startswith("/admin/")
        for method in route.methods - {"OPTIONS"}
    }
    assert routes == OTHERS_ARE_ABSENT.keys() | TESTED_BY_NAME | NOBODYS


@pytest.mark.parametrize("route", OTHERS_ARE_ABSENT)
async def test_what_is_anothers_is_absent(tenants, mine, route):
    before = await mine.everything()
    path = OTHERS_ARE_ABSENT[route]
    body = next((body for part, body in BODIES.items() if part in (route[0], path.split("?")[0].split("/")[-1])), None)
    answer = await tenants[1].ask(route[0], path, body)
    assert answer.status_code == 404, answer.text
    assert await mine.everything() == before


async def test_the_same_id_and_words_are_two_memories(tenants, mine):
    before = await mine.everything()
    answer = await tenants[1].told("POST", "/v1/memories", ADA | {"id": ID, "content": "the red boat"}, status=201)
    assert not answer.get("near_duplicates")
    differs = ADA | {"id": ID, "content": "another thing"}
    await tenants[0].ask("POST", "/v1/memories", differs, status=409)
    assert await mine.everything() == before


async def test_nothing_is_found_counted_or_listed_of_anothers(tenants, mine):
    assert await mine.told("GET", f"/v1/memories/count?{WHO}") == ADA | {"count": 1}
    assert (await tenants[1].told("GET", f"/v1/memories/count?{WHO}"))["count"] == 0
    assert (await tenants[1].told("POST", "/v1/memories/search", ADA | {"query": "red boat"}))["results"] == []
    assert (await tenants[1].told("POST", "/v1/memories/list", ADA))["memories"] == []
    assert (await tenants[1].told("GET", f"/v1/memories/stats?{WHO}"))["memories"] == 0
    assert (await tenants[1].ask("GET", f"/v1/memories/export?{WHO}")).text == ""


async def test_a_score_does_not_depend_on_anothers_words(tenants):
    """Of two tenants with the same memory, one has a neighbour with thousands of the same words."""
    for tenant in tenants:
        await tenant.told(
            "POST", "/v1/memories", ADA | {"content": "the red boat", "event_time": "2026-01-01T00:00:00Z"}
        )
    asked = ADA | {"query": "boat", "explain": True, "as_of": "2026-06-01T00:00:00Z"}
    before = await tenants[1].told("POST", "/v1/memories/search", asked)
    more = [{"content": f"boat {number}"} for number in range(50)]
    await tenants[0].told("POST", "/v1/memories/batch", ADA | {"memories": more})
    after = await tenants[1].told("POST", "/v1/memories/search", asked)
    assert after["results"] == before["results"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/memories/batch", ADA | {"memories": [{"id": ID, "content": "the red boat"}]}),
        ("POST", "/v1/memories/condense", ADA),
        ("POST", "/v1/memories/forget", ADA),
        ("DELETE", "/v1/users/ada", None),
        ("DELETE", "/v1/users/ada?agent_id=guide", None),
        ("POST", "/v1/agents", {"agent_id": "mine"}),
        ("POST", "/v1/caches/explain", {"messages": MESSAGES}),
    ],
)
async def test_what_one_does_is_done_to_itself_only(tenants, mine, method, path, body):
    before = await mine.everything()
    answer = await tenants[1].told(method, path, body)
    assert await mine.everything() == before
    assert 0 in {answer.get("forgotten", 0), answer.get("memories", 0)}


async def test_an_export_of_one_becomes_memories_of_whoever_imports_it(tenants, mine):
    before = await mine.everything()
    lines = (await mine.ask("GET", f"/v1/memories/export?{WHO}")).text
    told = await tenants[1].told("POST", "/v1/memories/import", content=lines)
    assert (told["kept"], told["known"]) == (1, 0)
    assert await mine.everything() == before
    assert (await tenants[1].told("GET", f"/v1/memories/count?{WHO}"))["count"] == 1


async def test_the_same_idempotency_key_gives_each_its_own_answer(tenants):
    body, key = ADA | {"content": "said once"}, {"Idempotency-Key": "same"}
    answers = [await each.ask("POST", "/v1/memories", body, headers=key) for each in tenants]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert not any("idempotency-replayed" in answer.headers for answer in answers)
    again = await tenants[0].ask("POST", "/v1/memories", body, headers=key)
    assert (again.headers["idempotency-replayed"], again.json()) == ("true", answers[0].json())


async def cached(tenant, path="/v1/chat/completions", body=CHAT, **more):
    told = await tenant.told("POST", path, body, **more)
    return told["usage"]["prompt_tokens_details"]["cached_tokens"] if "usage" in told else told["cached_tokens"]


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/v1/messages", CHAT, ("cache_read_input_tokens",)),
        ("/v1/completions", {"prompt": LONG}, ("prompt_tokens_details", "cached_tokens")),
        ("/v1/responses", {"input": LONG}, ("input_tokens_details", "cached_tokens")),
    ],
)
async def test_no_dialect_tells_of_tokens_that_another_tenant_read(tenants, path, body, place):
    async def found(tenant):
        told = (await tenant.told("POST", path, body))["usage"]
        for name in place:
            told = told[name]
        return told

    assert await found(tenants[0]) == 0
    assert await found(tenants[0]) > 0
    assert await found(tenants[1]) == 0


async def test_nobody_gets_deletes_or_goes_on_from_anothers_response(tenants):
    kept = await tenants[0].told("POST", "/v1/responses", {"input": LONG})
    path = f"/v1/responses/{kept['id']}"
    await tenants[1].ask("GET", path, status=404)
    await tenants[1].ask("DELETE", path, status=404)
    await tenants[1].ask("POST", "/v1/responses", {"input": "x", "previous_response_id": kept["id"]}, status=400)
    assert await tenants[0].told("GET", path) == kept


async def test_a_key_of_one_agent_finds_its_own_responses_only(application, client):
    reaches = Reach("acme"), Reach("acme", "ada"), Reach("acme", "bob"), Reach("acme", None, "ada")
    callers = [Tenant(client, (await application.keys.create(reach))[1]) for reach in reaches]
    for writer in callers:
        kept = await writer.told("POST", "/v1/responses", {"input": LONG})
        for reader in callers:
            await reader.ask("GET", f"/v1/responses/{kept['id']}", status=200 if reader is writer else 404)


async def test_no_token_is_cached_that_another_tenant_read(tenants):
    assert await cached(tenants[0]) == 0
    assert await cached(tenants[0]) > 0
    assert await cached(tenants[1]) == 0
    explained = await tenants[1].told(
        "POST", "/v1/caches/explain", {"messages": [{"role": "user", "content": LONG + "!"}]}
    )
    assert explained["cached_tokens"] > 0


async def test_explaining_tells_nothing_of_what_another_tenant_read(tenants):
    before = await tenants[1].told("POST", "/v1/caches/explain", {"messages": MESSAGES})
    await tenants[0].told("POST", "/v1/chat/completions", CHAT)
    assert await tenants[1].told("POST", "/v1/caches/explain", {"messages": MESSAGES}) == before
    assert before["cached_tokens"] == 0


async def test_agents_of_one_name_are_two(tenants):
    for path, body in (
        ("/v1/agents/guide/generate", {"prompt": LONG, "max_tokens": 4}),
        ("/v1/chat/completions", CHAT | {"agent_id": "header"}),
        ("/v1/chat/completions", CHAT),
    ):
        headers = {"X-Agent-ID": "guide"}
        assert await cached(tenants[0], path, body, headers=headers) >= 0
    mine = {each["agent_id"]: each["turns"] for each in (await tenants[0].told("GET", "/v1/agents"))["agents"]}
    assert mine == {"guide": 3}
    assert (await tenants[1].told("GET", "/v1/agents"))["agents"] == []
    assert await cached(tenants[1], "/v1/agents/guide/generate", {"prompt": LONG, "max_tokens": 4}) == 0


async def test_an_exported_agent_becomes_one_of_whoever_imports_it(tenants):
    await tenants[0].told("POST", "/v1/agents/guide/generate", {"prompt": LONG, "max_tokens": 4})
    file = (await tenants[0].ask("GET", "/v1/agents/guide/export", status=200)).content
    told = await tenants[1].told("POST", "/v1/agents/import", content=file)
    assert told["known_parts"] == 0
    assert [each["agent_id"] for each in (await tenants[1].told("GET", "/v1/agents"))["agents"]] == ["guide"]
    await tenants[1].ask("DELETE", "/v1/agents/guide", status=204)
    assert len((await tenants[0].told("GET", "/v1/agents"))["agents"]) == 1


async def test_what_is_of_all_tenants_is_told_to_the_operator_only(application, client, tenants):
    await tenants[0].told("POST", "/v1/chat/completions", CHAT | {"agent_id": "a"})
    told = await tenants[1].told("GET", "/v1/caches")
    assert (told["agents"], told["pinned_bytes"], told["memory"], told["disk"]) == (0, None, None, None)
    assert (await tenants[0].told("GET", "/v1/caches"))["agents"] == 1
    for method, path in (
        ("POST", "/v1/caches/verify"),
        ("POST", "/v1/caches/gc"),
        ("GET", "/metrics"),
        ("GET", "/metrics/"),
    ):
        await tenants[1].ask(method, path, status=403)
    _, text = await application.keys.create(Reach())
    assert (await Tenant(client, text).told("GET", "/v1/caches"))["memory"]["bytes"] > 0


async def test_a_key_of_one_agent_and_user_reaches_no_other(application, client, tenants, mine):
    _, text = await application.keys.create(Reach("acme", "guide", "ada"))
    narrow = Tenant(client, text)
    await tenants[0].told(
        "POST", "/v1/memories", {"agent_id": "guide", "user_id": "bob", "id": (bob := str(uuid4())), "content": "x"}
    )
    assert (await narrow.told("GET", f"/v1/memories/count?{WHO}"))["count"] == 1
    for agent, user in (("other", "ada"), ("guide", "bob")):
        whose = {"agent_id": agent, "user_id": user}
        query = f"agent_id={agent}&user_id={user}"
        await narrow.ask("GET", f"/v1/memories/count?{query}", status=403)
        await narrow.ask("GET", f"/v1/memories/stats?{query}", status=403)
        await narrow.ask("GET", f"/v1/memories/{ID}?{query}", status=403)
        await narrow.ask("DELETE", f"/v1/memories/{ID}?{query}", status=403)
        await narrow.ask("DELETE", f"/v1/users/{user}?agent_id={agent}", status=403)
        for path, more in (
            ("", {"content": "x"}),
            ("/search", {"query": "x"}),
            ("/list", {}),
            ("/forget", {}),
            ("/condense", {}),
        ):
            await narrow.ask("POST", f"/v1/memories{path}", whose | more, status=403)
    for method, path, body in (
        ("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"content": "x"}), ("GET", "/history", None),
        ("POST", "/supersede", {"content": "x"}), ("POST", "/restore", None),
    ):  # fmt: skip
        await narrow.ask(method, f"/v1/memories/{bob}{path}?agent_id=guide", body, status=404)
    assert (await narrow.told("DELETE", "/v1/users/ada"))["agent_id"] == "guide"
    assert (await tenants[0].told("GET", "/v1/memories/count?agent_id=guide&user_id=bob"))["count"] == 1
    await narrow.ask("GET", "/v1/agents/mine", status=403)
    await narrow.ask("POST", "/v1/chat/completions", CHAT | {"agent_id": "mine"}, status=403)
    await narrow.told("POST", "/v1/chat/completions", CHAT)
    for path, body in (
        ("/v1/messages", CHAT | {"metadata": {"user_id": "mine"}}),
        ("/v1/completions", {"prompt": "x", "user": "mine"}),
        ("/v1/responses", {"input": "x", "user": "mine"}),
    ):
        await narrow.ask("POST", path, body, status=403)
    assert [each["agent_id"] for each in (await narrow.told("GET", "/v1/agents"))["agents"]] == ["guide"]
    assert mine is tenants[0]


async def test_a_key_of_a_user_only_has_no_agents(application, client, tenants):
    await tenants[0].told("POST", "/v1/agents/guide/generate", {"prompt": LONG, "max_tokens": 4})
    of_user, of_agent = [
        Tenant(client, (await application.keys.create(reach))[1])
        for reach in (Reach("acme", None, "ada"), Reach("acme", "guide"))
    ]
    for method, path, body in (
        ("GET", "", None), ("POST", "", {"agent_id": "new"}), ("GET", "/guide", None), ("DELETE", "/guide", None),
        ("POST", "/guide/pin", None), ("POST", "/guide/unpin", None), ("PUT", "/guide/ttl", {"ttl_seconds": 1}),
        ("POST", "/guide/warm", None), ("POST", "/guide/fork", {"agent_id": "new"}), ("GET", "/guide/export", None),
        ("POST", "/import", None), ("POST", "/guide/generate", {"prompt": "x"}),
    ):  # fmt: skip
        answer = await of_user.ask(method, f"/v1/agents{path}", body, status=403)
        assert "for the user 'ada' only" in answer.json()["detail"]
    await of_user.ask("GET", "/v1/caches", status=403)
    for narrow in (of_user, of_agent):
        assert await cached(narrow, "/v1/chat/completions", CHAT | {"agent_id": "guide"}) >= 0
    assert (await of_agent.told("GET", "/v1/agents/guide"))["turns"] == 3


async def test_a_key_of_one_agent_counts_that_one(application, client, tenants):
    for name in ("guide", "mine"):
        await tenants[0].told("POST", "/v1/agents", {"agent_id": name})
    counts = {}
    for reach in (Reach("acme"), Reach("acme", "guide"), Reach("acme", "nobody"), Reach("default", "guide")):
        told = await Tenant(client, (await application.keys.create(reach))[1]).told("GET", "/v1/caches")
        counts[reach.owner] = told["agents"]
        assert told["memory"] is None
    assert counts == {"acme": 2, "acme/guide/": 1, "acme/nobody/": 0, "default/guide/": 0}


async def test_an_import_beyond_a_keys_reach_is_refused_line_by_line(application, client):
    _, text = await application.keys.create(Reach("acme", "guide"))
    line = {"id": ID, "agent_id": "other", "user_id": "ada", "content": "x", "created_at": "2026-01-01T00:00:00Z"}
    lines = "\n".join(json.dumps(line | change) for change in ({}, {"agent_id": "guide", "id": str(uuid4())}))
    told = await Tenant(client, text).told("POST", "/v1/memories/import", content=lines)
    assert (told["kept"], len(told["refused"])) == (1, 1)
