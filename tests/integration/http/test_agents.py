"""Agents and caches over HTTP, on an engine with the toy model."""

import asyncio
import io
import json
import threading
from collections import defaultdict
from urllib.parse import quote

import pytest
from toy_desk import ToyDesk
from toy_engine import toy_engine

from agent_memory.adapters.in_memory.chat import ByteChatTokenizer
from agent_memory.application.conversation import Conversation
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.model_slot import LoadedModel
from agent_memory.entrypoints.http import receiving

pytestmark = pytest.mark.usefixtures("toy_model")

CHAT = "/v1/chat/completions"
LONG = "The harbour, the market and the three bridges, one after the other. " * 3
STRANGE = [
    "ada@example.org",
    "a/b/../c",
    ".",
    "..",
    "~",
    "~Lg",
    "x" * 256,
    "東京 🗼",
    "Ada",
    "ada",
    "a%2Fb",
    "a b?c#d&e",
    "import",
    "\n",
]


async def chat(client, content=LONG, agent=None, **body):
    headers = {} if agent is None else {"X-Agent-ID": agent.encode()}
    asked = {"messages": [{"role": "user", "content": content}], "max_tokens": 5, "temperature": 0, **body}
    answer = await client.post(CHAT, json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def path(agent, verb=""):
    return f"/v1/agents/{quote(agent, safe='')}{verb}"


async def test_a_header_names_the_agent(client):
    await chat(client, agent="ada")
    told = (await client.get(path("ada"))).json()
    assert told["agent_id"] == "ada"
    assert told["status"] == "hot"
    assert told["turns"] == 1
    assert told["cache_size_tokens"] >= len(LONG)
    assert told["cache"]["memory"]["bytes"] > 0
    assert told["cache"]["own_bytes"] > 0
    assert told["cache"]["restorable_tokens"] == told["cache_size_tokens"]


@pytest.mark.parametrize("field", ["agent_id", "session_id", "prompt_cache_key", "user"])
async def test_a_field_of_the_body_names_it_too(client, field):
    await chat(client, **{field: "ada"})
    assert (await client.get(path("ada"))).status_code == 200


async def test_the_header_comes_first_then_the_fields_in_their_order(client):
    fields = {"agent_id": "one", "session_id": "two", "prompt_cache_key": "three", "user": "four"}
    await chat(client, agent="zero", **fields)
    await chat(client, **fields)
    await chat(client, **{name: value for name, value in fields.items() if name != "agent_id"})
    await chat(client, prompt_cache_key="three", user="four")
    await chat(client, prompt_cache_key="", user="four")
    await chat(client)
    listed = (await client.get("/v1/agents")).json()["agents"]
    assert [agent["agent_id"] for agent in listed] == ["four", "one", "three", "two", "zero"]


async def test_a_name_that_is_too_long_is_refused_by_field(client):
    asked = {"messages": [{"role": "user", "content": "x"}], "user": "x" * 257}
    answer = await client.post(CHAT, json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "user"
    answer = await client.post(CHAT, json=asked | {"user": "x"}, headers={"X-Agent-ID": "y" * 257})
    assert answer.json()["error"]["param"] == "X-Agent-ID"


async def test_no_store_keeps_nothing(client):
    before = (await client.get("/v1/caches")).json()
    await chat(client, agent="ada", no_store=True)
    assert (await client.get(path("ada"))).status_code == 404
    assert (await client.get("/v1/caches")).json() == before
    again = await chat(client, agent="ada")
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


@pytest.mark.parametrize("agent", STRANGE, ids=lambda agent: ascii(agent)[:20])
async def test_any_id_is_itself_on_every_route(client, agent):
    made = await client.post("/v1/agents", json={"agent_id": agent})
    assert made.status_code == 201
    href = made.json()["href"]
    await chat(client, agent_id=agent)
    told = (await client.get(href)).json()
    assert (told["agent_id"], told["turns"]) == (agent, 1)
    for verb in ("/pin", "/unpin", "/warm"):
        assert (await client.post(href + verb)).status_code == 200
    fork = await client.post(href + "/fork", json={"agent_id": f"{agent}2"[-256:]})
    assert fork.json()["forked_from"] == agent
    file = await client.get(href + "/export")
    assert file.status_code == 200
    assert (await client.delete(href)).status_code == 204
    assert (await client.get(href)).status_code == 404
    back = await client.post("/v1/agents/import", content=file.content)
    assert back.json()["agent"]["agent_id"] == agent
    assert (await client.get(back.json()["agent"]["href"])).status_code == 200


async def test_names_that_differ_in_case_are_two(client):
    await chat(client, agent="Ada")
    await chat(client, agent="ada")
    await client.delete(path("Ada"))
    assert (await client.get(path("ada"))).json()["turns"] == 1


async def test_a_header_may_be_utf8_or_latin1(client):
    asked = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
    for sent in ("é".encode(), "é".encode("latin-1")):
        assert (await client.post(CHAT, json=asked, headers={"X-Agent-ID": sent})).status_code == 200
    assert (await client.get(path("é"))).json()["turns"] == 2


async def test_names_are_no_labels_and_no_paths(client, tmp_path):
    await chat(client, agent="secret-agent")
    await client.get(path("secret-agent"))
    told = (await client.get("/metrics")).text
    assert "secret-agent" not in told
    assert 'route="/v1/agents/{agent_id}"' in told
    assert list(tmp_path.rglob("*secret*")) == []


async def test_what_no_path_can_mean_is_told(client):
    assert (await client.get("/v1/agents/%FF")).status_code == 422
    assert (await client.get("/v1/agents/%C3%28")).status_code == 422


async def test_a_tilde_is_escaped_by_nobody_and_means_itself(client):
    for agent in ("~", "~ada", "~Lg=", "~Li4x"):
        assert (await client.post("/v1/agents", json={"agent_id": agent})).status_code == 201
        assert (await client.get(f"/v1/agents/{agent}")).json()["agent_id"] == agent
    assert (await client.get("/v1/agents/nobody")).json()["detail"] == "no agent 'nobody'"


async def test_an_agent_is_made_once(client):
    assert (await client.post("/v1/agents", json={})).json()["agent_id"]
    made = await client.post("/v1/agents", json={"agent_id": "ada", "ttl_seconds": 60, "pinned": True})
    assert made.json()["status"] == "empty"
    assert made.json()["expires_at"]
    again = await client.post("/v1/agents", json={"agent_id": "ada"})
    assert again.status_code == 409
    assert again.json()["type"] == "urn:agent-memory:problem:conflict"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"agent_id": ""}, "#/agent_id"),
        ({"agent_id": "x" * 257}, "#/agent_id"),
        ({"ttl_seconds": 0}, "#/ttl_seconds"),
        ({"ttl": 5}, "#/ttl"),
    ],
)
async def test_what_is_wrong_is_named(client, body, pointer):
    answer = await client.post("/v1/agents", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_lists_have_pages(client):
    for number in range(5):
        await client.post("/v1/agents", json={"agent_id": f"a{number}"})
    first = (await client.get("/v1/agents", params={"limit": 3})).json()
    second = (await client.get("/v1/agents", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [agent["agent_id"] for agent in first["agents"] + second["agents"]] == [f"a{n}" for n in range(5)]
    assert second["next_cursor"] is None
    assert (await client.get("/v1/agents", params={"cursor": "é"})).status_code == 422
    assert (await client.get("/v1/agents", params={"limit": 0})).status_code == 422


async def test_a_ttl_is_set_and_lifted(client):
    await chat(client, agent="ada")
    assert (await client.put(path("ada", "/ttl"), json={"ttl_seconds": 90})).json()["ttl_seconds"] == 90
    assert (await client.put(path("ada", "/ttl"), json={"ttl_seconds": None})).json()["expires_at"] is None
    assert (await client.put(path("ada", "/ttl"), json={})).status_code == 422
    await client.put(path("ada", "/ttl"), json={"ttl_seconds": 0.01})
    await asyncio.sleep(0.05)
    assert (await client.get(path("ada"))).status_code == 404


async def test_evicted_it_is_cold_and_warmed_it_is_hot(client):
    await chat(client, agent="ada")
    for _ in range(100):
        if (await client.get(path("ada"))).json()["cache"]["disk"]["blocks"] == 14:
            break
        await asyncio.sleep(0.01)
    assert (await client.delete(path("ada"), params={"evict_only": True})).status_code == 204
    cold = (await client.get(path("ada"))).json()
    assert cold["status"] == "cold"
    warm = (await client.post(path("ada", "/warm"))).json()
    assert warm["agent"]["status"] == "hot"
    assert warm["bytes"] == cold["cache"]["disk"]["bytes"]


async def test_a_pin_is_shown(client):
    await chat(client, agent="ada")
    assert (await client.post(path("ada", "/pin"))).json()["pinned"] is True
    assert (await client.get("/v1/caches")).json()["pinned_bytes"] > 0
    assert (await client.post(path("ada", "/unpin"))).json()["pinned"] is False
    assert (await client.get("/v1/caches")).json()["pinned_bytes"] == 0


async def test_one_question_is_a_turn(client):
    answer = await client.post(path("ada", "/generate"), json={"prompt": LONG, "max_tokens": 4, "temperature": 0})
    told = answer.json()
    assert told["tokens_generated"] <= 4
    assert told["finish_reason"] in ("stop", "length")
    assert told["cache_size_tokens"] >= len(LONG)
    assert (await client.get(path("ada"))).json()["turns"] == 1
    again = await client.post(path("ada", "/generate"), json={"prompt": LONG, "max_tokens": 4, "temperature": 0})
    assert again.json()["text"] == told["text"]
    assert again.json()["cached_tokens"] > len(LONG)


@pytest.mark.parametrize("damage", ["flip", "cut", "none at all"])
async def test_a_damaged_file_is_refused(client, damage):
    await chat(client, agent="ada")
    file = bytearray((await client.get(path("ada", "/export"))).content)
    if damage == "flip":
        file[len(file) // 2] ^= 1
    sent = {"flip": bytes(file), "cut": bytes(file[:-600]), "none at all": b""}[damage]
    answer = await client.post("/v1/agents/import", params={"agent_id": "eve"}, content=sent)
    assert answer.status_code == 422
    assert "its digest does not match" in answer.json()["detail"]
    assert (await client.get(path("eve"))).status_code == 404


async def test_another_models_file_is_a_conflict(client, application):
    await chat(client, agent="ada")
    file = (await client.get(path("ada", "/export"))).content
    await application.models.close(1)
    thread = EngineThread(lambda wake: toy_engine(wake, "other"))
    await thread.start()
    other = Conversation(thread, ByteChatTokenizer(), model_id="other", created=1, max_context=20_000)
    application.models.hold(LoadedModel(application.plan, other, thread))
    answer = await client.post("/v1/agents/import", content=file)
    assert answer.status_code == 409
    assert "another model" in answer.json()["detail"]


async def test_a_file_may_be_larger_than_other_bodies(client):
    answer = await client.post("/v1/agents/import", content=b"x" * 3_000_000)
    assert answer.status_code == 422


class Upload:
    """A body that goes on until it is let end."""

    def __init__(self) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()

    async def __aiter__(self):
        yield b"x" * 3_000_000
        self.begun.set()
        await self.end.wait()


async def test_so_many_files_are_taken_in_at_once(client):
    uploads = [Upload() for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(client.post("/v1/agents/import", content=upload)) for upload in uploads]
        for upload in uploads:
            await upload.begun.wait()
        refused = await client.post("/v1/agents/import", content=b"x")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert (await client.get("/health/live")).status_code == 200
        for upload in uploads:
            upload.end.set()
    assert {each.result().status_code for each in sent} == {422}
    assert (await client.post("/v1/agents/import", content=b"x")).status_code == 422


async def test_a_client_that_falls_silent_gives_its_place_up(client, monkeypatch):
    monkeypatch.setattr(receiving, "_SILENCE_SECONDS", 0.05)
    for _ in range(3):
        answer = await client.post("/v1/agents/import", content=Upload())
        assert answer.status_code == 408
        assert "nothing came for 0.05 s" in answer.json()["detail"]


async def test_the_event_loop_writes_and_proves_no_file(client, monkeypatch):
    await chat(client, agent="ada")
    sent = (await client.get(path("ada", "/export"))).content
    threads = defaultdict(set)

    def told(name):
        def method(file, *given):
            threads[name].add(threading.get_ident())
            return getattr(io.BytesIO, name)(file, *given)

        return method

    watched = type("Watched", (io.BytesIO,), {name: told(name) for name in ("write", "read", "seek", "close")})
    monkeypatch.setattr(receiving.tempfile, "TemporaryFile", lambda **_: watched())
    answer = await client.post("/v1/agents/import", params={"agent_id": "eve"}, content=sent)
    assert answer.status_code == 201
    assert threads.keys() == {"write", "read", "seek", "close"}
    assert threading.get_ident() not in set.union(*threads.values())


async def test_there_is_nothing_to_export_of_an_empty_agent(client):
    await client.post("/v1/agents", json={"agent_id": "ada"})
    assert (await client.get(path("ada", "/export"))).status_code == 409
    assert (await client.get(path("eve", "/export"))).status_code == 404


async def test_caches_tell_what_they_hold(client):
    await chat(client, agent="ada")
    told = (await client.get("/v1/caches")).json()
    assert (told["model"], told["agents"]) == ("toy", 1)
    assert 0 < told["memory"]["bytes"] <= told["memory"]["budget_bytes"]
    assert told["memory"]["parts"] > 0


async def test_a_prompt_is_explained_without_being_read(client):
    messages = [{"role": "system", "content": "You are a guide."}, {"role": "user", "content": LONG}]
    asked = {"messages": messages, "max_tokens": 3}
    nothing = (await client.post("/v1/caches/explain", json={"messages": messages})).json()
    assert (nothing["cached_tokens"], nothing["x_cache"]["first_difference"]) == (0, {"token": 0, "message": 0})
    assert (await client.post(CHAT, json=asked)).status_code == 200
    other = [messages[0], {"role": "user", "content": LONG[:50] + "!" + LONG[50:]}]
    told = (await client.post("/v1/caches/explain", json={"messages": other})).json()
    assert told["prompt_tokens"] > told["cached_tokens"] > 50
    assert told["x_cache"]["memory_tokens"] + told["x_cache"]["disk_tokens"] == told["cached_tokens"]
    assert told["x_cache"]["first_difference"] == {"token": told["cached_tokens"], "message": 1}
    assert (await client.post("/v1/caches/explain", json={"messages": []})).status_code == 422


async def test_without_a_model_everything_says_when_to_come_back(client, application):
    await application.models.offload(grace=0)
    for answer in (
        await client.get("/v1/agents"),
        await client.get("/v1/caches"),
        await client.post(CHAT, json={"messages": [{"role": "user", "content": "x"}]}),
    ):
        assert answer.status_code == 503
        assert "offloaded" in json.dumps(answer.json())


def test_the_toy_desk_and_the_server_hold_agents_alike():
    assert ToyDesk().engine.holdings is not None
