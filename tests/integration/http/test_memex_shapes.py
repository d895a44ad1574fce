"""What clients of memex send is taken, and what they read is there: nothing missing, nothing more, unless asked for."""

from datetime import datetime
from uuid import UUID

import pytest

PAIR = {"agent_id": "a" * 128, "user_id": "u" * 128}
MEMORY = {"id", "agent_id", "user_id", "content", "memory_type", "importance", "created_at", "score"}


async def kept(client, **fields):
    answer = await client.post("/v1/memories", json=PAIR | {"content": "The boat is red."} | fields)
    assert answer.status_code == 201
    return answer.json()


async def test_storing_answers_201_with_the_memory(client):
    told = await kept(client)
    assert told.keys() == MEMORY
    assert (told["importance"], told["memory_type"], told["score"]) == (1.0, "episodic", None)
    UUID(told["id"])
    datetime.fromisoformat(told["created_at"])


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "x"}, {"content": "x" * 8000}, {"importance": 0}, {"importance": 2}, {"importance": 1.5},
        {"memory_type": "episodic"}, {"memory_type": "semantic"}, {"memory_type": "procedural"},
    ],
)  # fmt: skip
async def test_storing_takes_all_within_the_limits(client, fields):
    told = await kept(client, **fields)
    assert told | fields == told


async def test_searching_answers_results_query_and_total(client):
    await kept(client)
    answer = await client.post("/v1/memories/search", json=PAIR | {"query": "boat"})
    assert answer.status_code == 200
    told = answer.json()
    assert told.keys() == {"results", "query", "total"}
    assert (told["query"], told["total"]) == ("boat", 1)
    [found] = told["results"]
    assert found.keys() == MEMORY
    assert isinstance(found["score"], float)


@pytest.mark.parametrize(
    "fields",
    [{"query": "x" * 2000}, {"top_k": 1}, {"top_k": 50}, {"alpha": 0}, {"alpha": 1}, {"memory_type": "episodic"}],
)
async def test_searching_takes_all_within_the_limits(client, fields):
    await kept(client)
    answer = await client.post("/v1/memories/search", json=PAIR | {"query": "boat"} | fields)
    assert (answer.status_code, answer.json()["total"]) == (200, 1)


async def test_with_alpha_the_score_is_the_published_formula(client):
    await kept(client)
    asked = PAIR | {"query": "boat", "alpha": 0, "top_k": 1}
    [found] = (await client.post("/v1/memories/search", json=asked)).json()["results"]
    assert found["score"] == pytest.approx(1, abs=1e-3)  # all recency, and it is new


async def test_counting_answers_the_pair_and_the_count(client):
    await kept(client)
    await kept(client)
    answer = await client.get("/v1/memories/count", params=PAIR)
    assert (answer.status_code, answer.json()) == (200, PAIR | {"count": 2})


async def test_deleting_answers_204_and_then_404(client):
    path = f"/v1/memories/{(await kept(client))['id']}"
    gone = await client.delete(path, params={"agent_id": PAIR["agent_id"]})
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.delete(path, params={"agent_id": PAIR["agent_id"]})).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"content": ""}, {"content": "x" * 8001}, {"importance": -0.1}, {"importance": 2.1}, {"memory_type": "odd"},
        {"agent_id": ""}, {"agent_id": "a" * 129}, {"user_id": ""},
    ],
)  # fmt: skip
async def test_what_is_beyond_the_limits_is_422(client, fields):
    answer = await client.post("/v1/memories", json=PAIR | {"content": "x"} | fields)
    assert answer.status_code == 422
    assert next(iter(fields)) in answer.text
