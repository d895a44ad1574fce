"""OpenAI's own clients hold conversations whose turns the real server keeps. The weights are random."""

import json
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

pytestmark = pytest.mark.integration

STORY = "Once upon a time there was a memory that never forgot. " * 10
SAME = {"model": "default", "max_output_tokens": 8, "temperature": 0}


WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Verdict(BaseModel):
    fits: bool
    size: Literal["small", "large"]


def client_of(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def client(server):
    with client_of(server) as client:
        yield client


def test_the_next_turn_reads_only_what_is_new(client):
    first = client.responses.create(**SAME, input=STORY)
    second = client.responses.create(**SAME, input="And then?", previous_response_id=first.id)
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens - 1
    assert client.responses.retrieve(second.id).output_text == second.output_text


def test_streamed_and_not_streamed_say_the_same(client):
    whole = client.responses.create(**SAME, input=STORY)
    with client.responses.stream(**SAME, input=STORY) as stream:
        events = list(stream)
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    streamed = events[-1].response
    assert told == streamed.output_text == whole.output_text
    assert streamed.status == whole.status


async def test_the_asynchronous_client_reads_the_same(server, client):
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as other:
        told = await other.responses.create(**SAME, input=STORY)
    assert told.output_text == client.responses.create(**SAME, input=STORY).output_text


def test_an_answer_keeps_to_its_schema(client):
    told = client.responses.parse(**SAME | {"max_output_tokens": 200}, input="Well?", text_format=Verdict)
    assert told.output_parsed.size in ("small", "large")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_tool_is_called_and_answered(client, choice):
    forced = SAME | {"max_output_tokens": 300, "tools": [WEATHER], "parallel_tool_calls": False}
    first = client.responses.create(**forced, input=STORY, tool_choice=choice)
    call = first.output[-1]
    assert (call.type, call.name) == ("function_call", "weather")
    assert json.loads(call.arguments).keys() == {"city", "unit"}
    result = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    second = client.responses.create(**SAME, input=result, tools=[WEATHER], previous_response_id=first.id)
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens - 1


def test_a_response_outlives_the_server(start, tmp_path):
    before = start(tmp_path).wait_ready()
    with client_of(before) as client:
        first = client.responses.create(**SAME, input=STORY)
    before.kill()
    with client_of(start(tmp_path).wait_ready()) as client:
        second = client.responses.create(**SAME, input="And then?", previous_response_id=first.id)
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens > 0
