"""OpenAI's own clients hold conversations whose turns the real server keeps. The weights are random."""

import openai
import pytest
from pydantic import BaseModel

pytestmark = pytest.mark.integration

STORY = "Once upon a time there was a memory that never forgot. " * 10
SAME = {"model": "default", "max_output_tokens": 8, "temperature": 0}


class Person(BaseModel):
    name: str
    age: int


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
    told = client.responses.parse(
        model="default", input="Who?", text_format=Person, max_output_tokens=400, temperature=0
    )
    assert told.status == "incomplete" or isinstance(told.output_parsed, Person)


def test_a_response_outlives_the_server(start, tmp_path):
    before = start(tmp_path).wait_ready()
    with client_of(before) as client:
        first = client.responses.create(**SAME, input=STORY)
    before.kill()
    with client_of(start(tmp_path).wait_ready()) as client:
        second = client.responses.create(**SAME, input="And then?", previous_response_id=first.id)
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens > 0
