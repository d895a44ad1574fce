"""Whatever comes in, what goes out is an answer that is documented, and never a 5xx."""

import json
import random

import pytest

FIELDS = {
    "/v1/memories": ["agent_id", "user_id", "content", "memory_type", "importance", "other"],
    "/v1/memories/search": ["agent_id", "user_id", "query", "top_k", "alpha", "memory_type", "other"],
    "/v1/chat/completions": [
        *("messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"),
        *("stream", "stream_options", "n", "tools", "tool_choice", "response_format", "logprobs", "logit_bias"),
    ],
}
GOOD = {
    "agent_id": "guide",
    "user_id": "ada",
    "content": "x",
    "query": "x",
    "messages": [{"role": "user", "content": "x"}],
}
ODD = [
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e308, -1e308, 2**63, -(2**63) - 1, 10**40, 51, 129),
    *("", "x", "\0", "x\0y", "\ud800", "\U0001f98a", "a" * 129, "a" * 8001, "default", "semantic", "-0", "NaN", "1"),
    *([], {}, [[]], [{}], [None], ["x"] * 5, {"x": None}, [{"role": "user"}], [{"role": "wizard", "content": "x"}]),
    *([{"role": "user", "content": [{"type": "text", "text": "x"}]}], [{"role": "user", "content": [{"type": "x"}]}]),
    *([{"role": "user", "content": "\0"}], {"include_usage": 1}, {"type": "text"}),
]


def bodies(path, count):
    rng = random.Random(path)
    for _ in range(count):
        body = {name: GOOD[name] for name in FIELDS[path] if name in GOOD}
        for name in rng.sample(FIELDS[path], rng.randint(1, 2)):
            body[name] = rng.choice(ODD)
        yield json.dumps(body).encode()


@pytest.mark.parametrize("path", FIELDS)
async def test_no_body_makes_a_server_error(client, path):
    for body in bodies(path, 400):
        answer = await client.post(path, content=body)
        assert answer.status_code in (200, 201, 400, 404, 422), (body, answer.text)


@pytest.mark.parametrize("path", FIELDS)
async def test_no_damage_to_a_body_makes_a_server_error(client, path):
    rng = random.Random(path)
    whole = json.dumps({name: GOOD[name] for name in FIELDS[path] if name in GOOD}).encode()
    for _ in range(300):
        body = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        answer = await client.post(
            path, content=bytes(body[: rng.randint(0, len(body))] if rng.random() < 0.3 else body)
        )
        assert answer.status_code in (200, 201, 400, 404, 422), (body, answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/memories/count?agent_id=%00&user_id=x",
        "/v1/memories/count?agent_id=%FF%FE&user_id=x",
        "/v1/memories/count?agent_id=%ED%A0%80&user_id=x",
        "/v1/memories/count?agent_id=a&agent_id=b&user_id=x",
        "/v1/memories/%00",
        "/v1/memories/%FF?agent_id=x",
        "/v1/memories/../memories/count",
        "//v1//memories",
        "/%F0%9F%A6%8A",
        "/docs/nothing",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "OPTIONS", "HEAD"])
async def test_no_path_makes_a_server_error(client, method, path):
    answer = await client.request(method, path)
    assert answer.status_code < 500
