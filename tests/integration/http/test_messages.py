"""Anthropic's messages dialect, on a conversation that says what it is told to; read by Anthropic's own client."""

import json

import anthropic
import httpx2
import pytest

from agent_memory.application.replies import CallArguments, CallBegun, Finish, Thought
from agent_memory.domain.errors import GenerationFailed, InvalidInput, Overloaded, Unavailable
from agent_memory.entrypoints.http import streaming

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
HELLO = {"model": "default", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]}
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture
async def claude(app):
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport) as http:
        yield anthropic.AsyncAnthropic(base_url="http://server", api_key="none", max_retries=0, http_client=http)


def events(text):
    for each in text.split("\n\n")[:-1]:
        name, data = each.split("\n")
        told = json.loads(data.removeprefix("data: "))
        assert name == f"event: {told['type']}"
        yield told


async def test_an_answer_in_one_piece(client):
    answer = await client.post(MESSAGES, json=HELLO)
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("id").startswith("msg_")
    assert told == {
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [{"type": "text", "text": "Hello", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {
            "input_tokens": 1,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 8,
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 0},
            "cache_creation": None,
            "server_tool_use": None,
            "inference_geo": None,
            "service_tier": "standard",
        },
    }
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_the_client_reads_a_stream_as_it_reads_the_whole(claude, conversation):
    conversation.script = [
        Thought("hm"),
        "I look.",
        CallBegun(0, "call_1", "weather"),
        CallArguments(0, '{"city": '),
        CallArguments(0, '"Oslo"}'),
        Finish("tool_calls", 12, 8, 9, reasoning_tokens=2),
    ]
    whole = await claude.messages.create(**HELLO, tools=[WEATHER])
    async with claude.messages.stream(**HELLO, tools=[WEATHER]) as stream:
        streamed = await stream.get_final_message()
    assert whole.stop_reason == "tool_use"
    assert whole.content[2].input == {"city": "Oslo"}
    assert [block.to_dict(mode="json") for block in whole.content] == [
        {key: value for key, value in block.to_dict(mode="json").items() if key != "parsed_output"}
        for block in streamed.content
    ]
    assert (streamed.usage, streamed.stop_reason) == (whole.usage, whole.stop_reason)


async def test_a_stream_opens_with_the_usage_of_the_prompt(client):
    answer = await client.post(MESSAGES, json=HELLO | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = list(events(answer.text))
    assert told[0]["message"]["usage"]["cache_read_input_tokens"] == 8
    assert told[1] == {"type": "ping"}
    assert [each["delta"]["text"] for each in told if each["type"] == "content_block_delta"] == ["Hel", "lo"]
    assert told[-1] == {"type": "message_stop"}


@pytest.mark.parametrize("model", ["default", "scripted", "claude-sonnet-9-20300101"])
async def test_the_loaded_model_answers_to_these_names(client, model):
    assert (await client.post(MESSAGES, json=HELLO | {"model": model})).json()["model"] == "scripted"


async def test_another_model_is_not_found(claude):
    with pytest.raises(anthropic.NotFoundError) as caught:
        await claude.messages.create(**HELLO | {"model": "gpt-9"})
    assert caught.value.type == "not_found_error"


async def test_tokens_are_counted(claude):
    fields = {"model": "default", "messages": HELLO["messages"], "tools": [WEATHER]}
    assert (await claude.messages.count_tokens(**fields)).input_tokens == 12


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "image"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}, "document"),
        ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "eternal"}}]}, "cache_control.type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools[0].name"),
        ({"stop_sequences": [""]}, "stop_sequences[0]"),
    ],
)
async def test_a_wrong_field_is_named_in_anthropics_shape(client, fields, named):
    answer = await client.post(MESSAGES, json=HELLO | fields)
    assert answer.status_code == 400
    told = answer.json()
    assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
    assert named in told["error"]["message"]
    assert told["request_id"] == answer.headers["request-id"]


async def test_max_tokens_is_required(client):
    answer = await client.post(MESSAGES, json={"messages": HELLO["messages"]})
    assert answer.json()["error"]["message"] == "max_tokens: is required"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidInput("messages", "prompt is too long"), (400, "invalid_request_error")),
        (Overloaded("32 turns wait already", 3), (429, "rate_limit_error")),
        (Unavailable("the model is being loaded"), (503, "api_error")),
        (GenerationFailed("the model failed"), (500, "api_error")),
        (ValueError("nobody thought of this"), (500, "api_error")),
    ],
)
async def test_an_error_before_the_first_word_is_a_status(client, conversation, error, told, stream):
    conversation.script = [error]
    answer = await client.post(MESSAGES, json=HELLO | {"stream": stream})
    assert (answer.status_code, answer.json()["error"]["type"]) == told
    assert answer.headers.get("retry-after") == ("3" if told[0] == 429 else None)
    assert "nobody thought" not in answer.text
    assert conversation.closed == 1


async def test_an_error_in_a_begun_stream_is_raised_by_the_client(claude, conversation):
    conversation.script = ["Hel", GenerationFailed("the model failed")]
    with pytest.raises(anthropic.APIStatusError, match="the model failed"):
        async for _ in await claude.messages.create(**HELLO, stream=True):
            pass
    assert conversation.closed == 1


async def test_a_long_wait_is_filled_with_pings(client, conversation, monkeypatch):
    monkeypatch.setattr(streaming.begin, "__defaults__", (0.01,))
    conversation.script = [0.1, "late"]
    answer = await client.post(MESSAGES, json=HELLO | {"stream": True})
    assert answer.text.startswith('event: ping\ndata: {"type":"ping"}\n\n')


@pytest.mark.parametrize("path", [MESSAGES, COUNT])
async def test_what_is_not_json_is_told_in_anthropics_shape(client, path):
    told = (await client.post(path, content=b"{")).json()
    assert told["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_too_large_has_anthropics_type(client):
    answer = await client.post(MESSAGES, content=b"x" * 2_000_000)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


async def test_no_notice_is_taken_of_a_clients_telemetry(client):
    answer = await client.post("/api/event_logging/batch", json={"events": [{"secret": 1}]})
    assert (answer.status_code, answer.json()) == (200, {})


async def test_headers_of_the_client_are_accepted(client, conversation):
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01", "anthropic-beta": "a,b", "X-Agent-ID": "ada"}
    answer = await client.post(MESSAGES + "?beta=true", json=HELLO | {"metadata": {"user_id": "u"}}, headers=headers)
    assert answer.status_code == 200
    assert conversation.prompts[0].agent.id == "ada"
