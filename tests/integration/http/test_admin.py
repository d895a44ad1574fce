"""The admin routes: closed without a key, and what they do with one."""

import msgspec
import pytest

from agent_memory.application.model_slot import LoadedModel, Swap
from agent_memory.domain.errors import Misconfigured

KEY = "a key of some length"
ROUTES = [
    ("GET", "/admin/models/current"),
    ("GET", "/admin/models/available"),
    ("POST", "/admin/models/swap"),
    ("POST", "/admin/models/offload"),
    ("DELETE", "/admin/caches"),
]


@pytest.fixture
def settings(settings, request):
    key = getattr(request, "param", KEY)
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, admin_key=key))


def with_key(client, key=KEY):
    client.headers["X-Admin-Key"] = key
    return client


@pytest.mark.parametrize("settings", [None], indirect=True)
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_configured_key_they_say_how_to_set_one(client, method, path):
    answer = await with_key(client).request(method, path)
    assert answer.status_code == 403
    assert "SEMANTIC_ADMIN_KEY" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", "é" * 20])
async def test_a_wrong_key_opens_nothing(client, method, path, key):
    answer = await client.request(method, path, headers={"X-Admin-Key": key.encode()} if key else {})
    assert answer.status_code == 401
    assert KEY not in answer.text


async def test_the_loaded_model_is_told(client):
    assert (await with_key(client).get("/admin/models/current")).json()["model_id"] == "scripted"


async def test_the_known_models_are_told(client):
    told = (await with_key(client).get("/admin/models/available")).json()["models"]
    assert "agent-memory-small" in [model["model_id"] for model in told]


async def test_a_swap_takes_the_plan_of_the_other_model(client, application, conversation, monkeypatch):
    seen = []

    async def swap(plan, grace):
        seen.append((plan, grace))
        application.models.hold(LoadedModel(plan, conversation))
        return Swap("scripted", plan.id, 1.5)

    monkeypatch.setattr(application.models, "swap", swap)
    body = {"model_id": "mlx-community/gemma-3-12b-it-4bit", "timeout_seconds": 5}
    answer = await with_key(client).post("/admin/models/swap", json=body)
    assert answer.json() == {"old_model_id": "scripted", "new_model_id": body["model_id"], "seconds": 1.5}
    [(plan, grace)] = seen
    assert (plan.source, grace) == (body["model_id"], 5)
    assert application.plan is plan


@pytest.mark.parametrize("model_id", ["/no/such/folder", "not a model", "../.."])
async def test_a_model_that_is_none_is_refused_by_field(client, model_id):
    answer = await with_key(client).post("/admin/models/swap", json={"model_id": model_id})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/model_id"
    assert (await client.get("/admin/models/current")).json()["model_id"] == "scripted"


async def test_a_model_that_cannot_be_had_is_refused_too(client, application, monkeypatch):
    async def find(plan):
        raise Misconfigured("model: neither here nor to be had")

    monkeypatch.setattr(application.models._models, "find", find)
    answer = await with_key(client).post("/admin/models/swap", json={"model_id": "nobody/nothing"})
    assert answer.status_code == 422
    assert "neither here nor to be had" in answer.json()["detail"]


@pytest.mark.parametrize("seconds", [0, 301, "x"])
async def test_a_timeout_has_limits(client, seconds):
    answer = await with_key(client).post("/admin/models/offload", json={"timeout_seconds": seconds})
    assert answer.status_code == 422


async def test_an_offloaded_model_answers_503(client):
    answer = await with_key(client).post("/admin/models/offload", json={})
    assert answer.json()["old_model_id"] == "scripted"
    asked = {"messages": [{"role": "user", "content": "x"}]}
    assert (await client.post("/v1/chat/completions", json=asked)).status_code == 503
    assert (await client.get("/admin/models/current")).json()["model_id"] is None
