"""OpenAI's chat dialect, on a conversation that says what it is told to."""

import asyncio
import json

import pytest

from agent_memory.application.replies import CallArguments, CallBegun, Thought
from agent_memory.domain.errors import GenerationFailed, InvalidInput, Overloaded, Unavailable
from agent_memory.entrypoints.http import streaming

CHAT = "/v1/chat/completions"
HELLO = {"model": "default", "messages": [{"role": "user", "content": "Hello!"}]}


def events(text):
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


async def test_an_answer_in_one_piece(client):
    answer = await client.post(CHAT, json=HELLO)
    assert answer.status_code == 200
    told = answer.json()
    assert told["object"] == "chat.completion"
    assert told["model"] == "scripted"
    [choice] = told["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert told["usage"] == {
        "prompt_tokens": 12,
        "completion_tokens": 2,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


CALLING = [Thought("Hm."), CallBegun(0, "call_1", "look"), CallArguments(0, '{"at":'), CallArguments(0, " 1}")]


async def test_thoughts_and_calls_are_told_beside_the_content(client, conversation):
    conversation.script = CALLING
    [choice] = (await client.post(CHAT, json=HELLO)).json()["choices"]
    assert choice["message"]["content"] is None
    assert choice["message"]["reasoning_content"] == "Hm."
    [called] = choice["message"]["tool_calls"]
    function = {"name": "look", "arguments": '{"at": 1}'}
    assert called == {"id": "call_1", "type": "function", "function": function}


async def test_thoughts_and_calls_are_streamed(client, conversation):
    conversation.script = CALLING
    chunks = events((await client.post(CHAT, json=HELLO | {"stream": True})).text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[1:-1]]
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    assert deltas == [
        {"reasoning_content": "Hm."},
        {"tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"at":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
    ]


async def test_a_stream_begins_with_the_role_and_ends_with_the_reason(client):
    answer = await client.post(CHAT, json=HELLO | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = events(answer.text)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [c["choices"][0]["delta"].get("content") for c in chunks[1:-1]] == ["Hel", "lo"]
    assert chunks[-1]["choices"][0] == {"delta": {}, "finish_reason": "stop", "index": 0, "logprobs": None}
    assert len({c["id"] for c in chunks}) == 1
    assert all("usage" not in c for c in chunks)


async def test_usage_comes_last_where_it_is_asked_for(client):
    asked = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
    chunks = events((await client.post(CHAT, json=asked)).text)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 8}
    assert all(c["usage"] is None for c in chunks[:-1])


async def test_the_loaded_model_answers_to_its_name_and_to_default(client):
    assert (await client.post(CHAT, json=HELLO | {"model": "scripted"})).status_code == 200
    answer = await client.post(CHAT, json=HELLO | {"model": "gpt-9"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "gpt-9" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"n": 0}, "n"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"tools": [{}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"audio": {}}, "audio"),
        ({"stop": [""]}, "stop[0]"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"top_p": 1.1}, "top_p"),
        ({"stream": "yes"}, "stream"),
    ],
)
async def test_a_wrong_field_is_named_in_openais_shape(client, fields, param):
    answer = await client.post(CHAT, json=HELLO | fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("messages", "5000 tokens, the model takes 4096"), 400),
        (Overloaded("32 turns wait already", 3), 429),
        (Unavailable("the model is being loaded"), 503),
        (GenerationFailed("the model failed"), 500),
        (ValueError("nobody thought of this"), 500),
    ],
)
async def test_an_error_before_the_first_word_is_a_status(client, conversation, error, status, stream):
    conversation.script = [error]
    answer = await client.post(CHAT, json=HELLO | {"stream": stream})
    assert answer.status_code == status
    assert "error" in answer.json()
    assert answer.headers.get("retry-after") == ("3" if status == 429 else None)
    assert "nobody thought" not in answer.text
    assert conversation.closed == 1


async def test_an_error_in_a_begun_stream_is_told_in_it(client, conversation):
    conversation.script = ["Hel", GenerationFailed("the model failed")]
    answer = await client.post(CHAT, json=HELLO | {"stream": True})
    assert answer.status_code == 200
    assert events(answer.text)[-1]["error"]["type"] == "server_error"
    assert conversation.closed == 1


async def test_a_long_wait_is_filled_with_comments(client, conversation, monkeypatch):
    monkeypatch.setattr(streaming.begin, "__defaults__", (0.01,))
    conversation.script = [0.1, "late"]
    answer = await client.post(CHAT, json=HELLO | {"stream": True})
    assert answer.text.startswith(": keep-alive\n\n")
    assert events(answer.text)[1]["choices"][0]["delta"]["content"] == "late"


def post_to(app, body, receive, send):
    """One request, spoken to the application directly."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": CHAT,
        "raw_path": CHAT.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "http_version": "1.1",
        "server": ("server", 80),
        "client": ("client", 1),
        "scheme": "http",
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    incoming = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])

    async def receive_body_first():
        return next(incoming, None) or await receive()

    return app(scope, receive_body_first, send)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_reply_is_closed_when_the_client_leaves(app, conversation, stream):
    conversation.script = ["begin", 60.0, "never"]
    begun = asyncio.Event()

    async def receive():
        await (begun if stream else conversation.paused).wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if b"begin" in message.get("body", b""):
            begun.set()

    async with asyncio.timeout(30):
        await post_to(app, HELLO | {"stream": stream}, receive, send)
    assert conversation.closed == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_told_when_the_server_ends(app, conversation, stream):
    conversation.script = ["begin", 60.0, "never"]
    sent, told = [], asyncio.Event()

    async def send(message):
        sent.append(message)
        told.set()

    never = asyncio.Event()
    answering = asyncio.create_task(post_to(app, HELLO | {"stream": stream}, never.wait, send))
    await (told if stream else conversation.paused).wait()
    answering.cancel()
    await answering
    assert sent[0]["status"] == (200 if stream else 503)
    assert b"the server is shutting down" in b"".join(message.get("body", b"") for message in sent)
    assert not sent[-1].get("more_body")
    assert conversation.closed == 1


async def test_without_a_model_the_doors_say_so(app, client, application):
    await application.models.offload(grace=0)
    assert (await client.post(CHAT, json=HELLO)).status_code == 503
    assert (await client.get("/v1/models")).json()["data"] == []
