"""Anthropic's own clients talk to the real server. The weights are random, so only the form of answers is known."""

import json

import anthropic
import httpx
import pytest

pytestmark = pytest.mark.integration

STORY = [{"role": "user", "content": "Once upon a time there was a memory that never forgot. " * 10}]
BILLING = "x-anthropic-billing-header: cc_version=2.1.100.7b4; cc_entrypoint=cli; cch={};"


@pytest.fixture(scope="module")
def client(server):
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def asked(temperature=0, **options):
    """The newest client has no argument for a temperature any more."""
    body = {"temperature": temperature}
    return {"model": "default", "messages": STORY, "max_tokens": 8, "extra_body": body} | options


def prompt_of(usage):
    return usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens


def test_the_second_time_the_prompt_is_remembered(client):
    first, second = [client.messages.create(**asked(system="Remember.")) for _ in range(2)]
    assert second.content == first.content
    assert second.model == "random-llama"
    assert (second.usage.input_tokens, second.usage.cache_creation_input_tokens) == (1, 0)
    assert second.usage.cache_read_input_tokens == prompt_of(first.usage) - 1


def test_what_is_counted_is_what_was_read(client):
    fields = {"model": "default", "messages": STORY, "system": [{"type": "text", "text": "Count."}]}
    counted = client.messages.count_tokens(**fields).input_tokens
    assert prompt_of(client.messages.create(**fields, max_tokens=1).usage) == counted


def test_streamed_and_not_streamed_say_the_same(client):
    whole = client.messages.create(**asked())
    with client.messages.stream(**asked()) as stream:
        told = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert told == "".join(block.text for block in whole.content)
    assert streamed.stop_reason == whole.stop_reason
    assert prompt_of(streamed.usage) == prompt_of(whole.usage)


def test_a_stream_opens_with_the_usage_it_ends_with(client):
    with client.messages.create(**asked(), stream=True) as stream:
        events = list(stream)
    assert events[0].message.usage.cache_read_input_tokens == events[-2].usage.cache_read_input_tokens > 0


async def test_the_asynchronous_client_reads_the_same(server, client):
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0) as other:
        whole = await other.messages.create(**asked())
        async with other.messages.stream(**asked()) as stream:
            streamed = await stream.get_final_message()
    assert whole.content == client.messages.create(**asked()).content
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_a_header_that_changes_costs_nothing(client):
    rules = "You are a careful keeper of diaries. " * 20
    told = [
        client.messages.create(**asked(system=[{"type": "text", "text": text} for text in (BILLING.format(n), rules)]))
        for n in ("36ee5", "0aaa9")
    ]
    assert told[1].usage.cache_read_input_tokens == prompt_of(told[1].usage) - 1


def test_the_loaded_model_is_listed_and_got(client):
    assert [model.id for model in client.models.list()] == ["random-llama"]
    assert client.models.retrieve("random-llama").display_name == "random-llama"
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.models.retrieve("maker/other")
    assert caught.value.type == "not_found_error"


def test_more_tokens_than_there_is_room_for_are_cut(client):
    answer = client.messages.create(**asked(max_tokens=20_000, stop_sequences=["e", "a", " "]))
    assert answer.stop_reason in ("stop_sequence", "end_turn", "model_context_window_exceeded")


def test_a_prompt_beyond_the_context_is_too_long(client):
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > \d+ maximum"):
        client.messages.create(**asked(messages=[{"role": "user", "content": "x" * 100_000}]))


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_takes_too_long_is_a_timeout(client, stream):
    with pytest.raises(anthropic.APIStatusError, match="in the time that the request") as caught:
        told = asked(max_tokens=5000, temperature=1, stream=stream)
        list(client.messages.create(**told, extra_headers={"X-Request-Timeout": "0.02"}))
    assert caught.value.type == "timeout_error"


def test_an_agent_is_named_by_its_user(client, server):
    client.messages.create(**asked(metadata={"user_id": '{"session_id": "s1"}'}))
    agents = httpx.get(f"{server.url}/v1/agents").json()["agents"]
    assert '{"session_id": "s1"}' in [each["agent_id"] for each in agents]


WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_a_tool_is_called_and_answered(client, choice):
    one = choice | {"disable_parallel_tool_use": True}
    forced = asked(tools=[WEATHER], tool_choice=one, max_tokens=300)
    whole = client.messages.create(**forced)
    [call] = [block for block in whole.content if block.type == "tool_use"]
    assert whole.stop_reason == "tool_use"
    assert call.input.keys() == {"city", "unit"}
    with client.messages.stream(**forced) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[-1].input == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
    talk = [*STORY, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(**asked(messages=talk, tools=[WEATHER], tool_choice={"type": "none"}))
    assert second.usage.cache_read_input_tokens >= prompt_of(whole.usage) - 1


def test_an_answer_keeps_to_its_schema(client):
    schema = {"type": "object", "properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"]}
    config = {"format": {"type": "json_schema", "schema": schema | {"additionalProperties": False}}}
    told = client.messages.create(**asked(output_config=config, max_tokens=300))
    assert json.loads(told.content[0].text)["unit"] in ("C", "F")
