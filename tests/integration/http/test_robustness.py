"""Whatever comes in, what goes out is an answer that is documented, and never a 5xx."""

import json
import random

import pytest

FIELDS = {
    "/v1/memories": [
        *("agent_id", "user_id", "content", "memory_type", "importance", "other", "id", "tags", "metadata"),
        *("event_time", "expires_at", "ttl_seconds", "on_near_duplicate"),
    ],
    "/v1/memories/search": [
        *("agent_id", "user_id", "query", "top_k", "alpha", "memory_type", "other", "tags", "filter", "since"),
        *("as_of", "min_score", "max_tokens", "cursor", "explain"),
    ],
    "/v1/chat/completions": [
        *("messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"),
        *("stream", "stream_options", "n", "tools", "tool_choice", "response_format", "logprobs", "logit_bias"),
    ],
    "/v1/completions": [
        *(
            "prompt",
            "model",
            "max_tokens",
            "n",
            "best_of",
            "echo",
            "logprobs",
            "logit_bias",
            "stop",
            "stream",
            "suffix",
        ),
    ],
    "/v1/embeddings": ["input", "model", "dimensions", "encoding_format"],
    "/v1/responses": [
        *(
            "input",
            "instructions",
            "model",
            "max_output_tokens",
            "metadata",
            "previous_response_id",
            "reasoning",
            "store",
        ),
        *("stream", "text", "tool_choice", "tools", "include", "truncation", "user", "prompt", "stream_options"),
    ],
    "/v1/messages": [
        *("messages", "max_tokens", "model", "system", "tools", "tool_choice", "thinking", "output_config", "metadata"),
        *("stop_sequences", "temperature", "top_k", "stream", "cache_control", "context_management", "container"),
    ],
    "/v1/messages/count_tokens": ["messages", "system", "tools", "tool_choice", "thinking", "model"],
}
GOOD = {
    "agent_id": "guide",
    "user_id": "ada",
    "content": "x",
    "query": "x",
    "messages": [{"role": "user", "content": "x"}],
    "max_tokens": 5,
    "prompt": "x",
    "input": "x",
}
ODD = [
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e308, -1e308, 2**63, -(2**63) - 1, 10**40, 51, 129),
    *("", "x", "\0", "x\0y", "\ud800", "\U0001f98a", "a" * 129, "a" * 8001, "default", "semantic", "-0", "NaN", "1"),
    *([], {}, [[]], [{}], [None], ["x"] * 5, {"x": None}, [{"role": "user"}], [{"role": "wizard", "content": "x"}]),
    *([{"role": "user", "content": [{"type": "text", "text": "x"}]}], [{"role": "user", "content": [{"type": "x"}]}]),
    *([{"role": "user", "content": "\0"}], {"include_usage": 1}, {"type": "text"}),
    *([1, 2], [[1], []], [10**30], [{"type": "tool_result", "tool_use_id": "x"}], [{"type": "function_call_output"}]),
    *([{"type": "reasoning", "content": None}], [{"name": "x", "input_schema": {"type": 5}}], {"type": "enabled"}),
    *([{"type": "function", "name": "x", "parameters": {"$ref": "#"}}], {"format": {"type": "json_schema"}}),
    *([{"role": "assistant", "content": []}], [{"type": "image"}], {"type": "tool", "name": "x"}, {"user_id": "\0"}),
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


INJECTION = "'; DROP TABLE memories; --"


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/v1/memories", "importance", "NaN"),
        ("/v1/memories", "importance", "-Infinity"),
        ("/v1/memories", "content", '"half \\ud800 of a pair"'),
        ("/v1/memories", "user_id", '"\\udfff"'),
        ("/v1/memories", "tags", '["\\ud800"]'),
        ("/v1/memories", "metadata", '{"a": [1, {"b": NaN}]}'),
        ("/v1/memories", "metadata", '{"a":' * 10_000 + "1" + "}" * 10_000),
        ("/v1/memories", "metadata", "[" * 10_000 + "]" * 10_000),
        ("/v1/memories", "metadata", '{"a":' * 40 + "1" + "}" * 40),
        ("/v1/memories", "metadata", '{"\\u0000": 1}'),
        ("/v1/memories", "metadata", f'{{"a": 1{"0" * 400}}}'),
        ("/v1/memories", "content", json.dumps("x" * 8001)),
        ("/v1/memories", "content", '"nul \\u0000"'),
        ("/v1/memories", "event_time", '"0001-01-01T00:00:00+14:00"'),
        ("/v1/memories", "id", json.dumps(INJECTION)),
        ("/v1/memories/search", "alpha", "NaN"),
        ("/v1/memories/search", "query", '"\\udc00"'),
        ("/v1/memories/search", "filter", '{"not":' * 10_000 + "{}" + "}" * 10_000),
        ("/v1/memories/search", "cursor", json.dumps(INJECTION)),
        ("/v1/memories/search", "memory_type", json.dumps(INJECTION)),
    ],
)
async def test_a_hostile_value_is_answered_by_the_name_of_its_field(client, path, field, value):
    """What Python's own encoder writes for NaN and for half a character is no JSON, and is named all the same."""
    rest = json.dumps(
        {name: GOOD[name] for name in ("agent_id", "user_id", "content", "query") if name in FIELDS[path]}
    )
    body = f'{rest[:-1]}, "{field}": {value}}}'
    answer = await client.post(path, content=body.encode())
    assert 400 <= answer.status_code < 500
    assert answer.json()["errors"][0]["pointer"].startswith(f"#/{field}"), answer.text


async def test_bytes_that_are_no_text_are_named(client):
    body = b'{"agent_id": "guide", "user_id": "ada", "content": "\xed\xa0\x80"}'
    answer = await client.post("/v1/memories", content=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/content")


async def test_sql_in_every_text_is_text(client):
    fields = {"agent_id": INJECTION, "user_id": INJECTION}
    told = fields | {"content": INJECTION, "tags": [INJECTION], "metadata": {INJECTION: INJECTION}}
    assert (await client.post("/v1/memories", json=told)).status_code == 201
    asked = fields | {"query": INJECTION, "tags": [INJECTION], "filter": {INJECTION: {"eq": INJECTION}}}
    found = (await client.post("/v1/memories/search", json=asked)).json()
    assert [each["content"] for each in found["results"]] == [INJECTION]
