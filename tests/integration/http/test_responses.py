"""OpenAI's responses dialect, on a conversation that says what it is told to; read by OpenAI's own client."""

import openai
import pytest

from agent_memory.application.replies import CallArguments, CallBegun, Finish, Thought
from agent_memory.domain.errors import GenerationFailed, Overloaded, Unavailable

RESPONSES = "/v1/responses"
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


async def test_a_response_in_one_piece(gpt):
    told = await gpt.responses.create(model="default", input="Hello!", instructions="Be brief.", metadata={"a": "b"})
    assert (told.output_text, told.status, told.error, told.incomplete_details) == ("Hello", "completed", None, None)
    assert (told.model, told.instructions, told.metadata) == ("scripted", "Be brief.", {"a": "b"})
    assert told.usage.input_tokens_details.model_dump(exclude_none=True) == {
        "cached_tokens": 8,
        "cache_write_tokens": 3,
    }
    assert (told.usage.input_tokens, told.usage.output_tokens, told.usage.total_tokens) == (12, 2, 14)


async def test_the_client_reads_a_stream_as_it_reads_the_whole(gpt, conversation):
    conversation.script = [
        Thought("hm"),
        "I look.",
        CallBegun(0, "call_1", "weather"),
        CallArguments(0, '{"city": '),
        CallArguments(0, '"Oslo"}'),
        Finish("tool_calls", 12, 8, 9, reasoning_tokens=2),
    ]
    asked = {"model": "default", "input": "Weather?", "tools": [WEATHER]}
    whole = await gpt.responses.create(**asked)
    async with gpt.responses.stream(**asked) as stream:
        events = [event async for event in stream]
        streamed = await stream.get_final_response()
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
    assert whole.output[2].arguments == '{"city": "Oslo"}'
    assert [event.sequence_number for event in events] == list(range(len(events)))
    named = [event.type.removeprefix("response.") for event in events]
    assert named[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert named[-1] == "completed"
    ours = [item.model_dump(exclude={"id", "parsed_arguments"}) for item in whole.output]
    assert streamed.output_text == whole.output_text == "I look."
    assert [item["type"] for item in ours] == [item.type for item in streamed.output]
    assert streamed.output[2].arguments == whole.output[2].arguments
    assert streamed.usage == whole.usage
    assert whole.usage.output_tokens_details.reasoning_tokens == 2


async def test_what_is_cut_off_is_incomplete(gpt, conversation):
    conversation.script = ["Hel", Finish("length", 12, 8, 1)]
    whole = await gpt.responses.create(model="default", input="Hello!", max_output_tokens=16)
    assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    stream = await gpt.responses.create(model="default", input="Hello!", stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"


async def test_a_response_goes_on_from_another(gpt, conversation):
    first = await gpt.responses.create(model="default", input="Hello!", instructions="Be brief.")
    second = await gpt.responses.create(model="default", input="And?", previous_response_id=first.id)
    await gpt.responses.create(model="default", input="So?", previous_response_id=second.id)
    said = [(message.role, message.content) for message in conversation.prompts[-1].messages]
    answer = ("assistant", "Hello")
    assert said == [("user", "Hello!"), answer, ("user", "And?"), answer, ("user", "So?")]
    assert second.previous_response_id == first.id


async def test_calls_are_answered_where_they_were_made(gpt, conversation):
    conversation.script = [CallBegun(0, "call_1", "weather"), CallArguments(0, "{}"), Finish("tool_calls", 12, 8, 9)]
    first = await gpt.responses.create(model="default", input="Weather?", tools=[WEATHER])
    output = [{"type": "function_call_output", "call_id": "call_1", "output": "rain"}]
    await gpt.responses.create(model="default", input=output, previous_response_id=first.id, tools=[WEATHER])
    assert conversation.prompts[-1].messages[-1].call_id == "call_1"
    assert conversation.prompts[-1].messages[1].calls[0].name == "weather"


async def test_a_streamed_response_is_kept_when_its_end_is_told(gpt):
    stream = await gpt.responses.create(model="default", input="Hello!", stream=True)
    events = [event async for event in stream]
    kept = await gpt.responses.retrieve(events[-1].response.id)
    assert kept.to_dict() == events[-1].response.to_dict()


async def test_a_response_is_got_and_deleted(gpt, client):
    first = await gpt.responses.create(model="default", input="Hello!")
    second = await gpt.responses.create(model="default", input="And?", previous_response_id=first.id)
    assert (await gpt.responses.retrieve(first.id)).to_dict() == first.to_dict()
    assert (await client.delete(f"{RESPONSES}/{first.id}")).json() == {
        "id": first.id,
        "object": "response",
        "deleted": True,
    }
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.delete(first.id)
    assert (await gpt.responses.retrieve(second.id)).output_text == "Hello"
    with pytest.raises(openai.BadRequestError, match="was deleted"):
        await gpt.responses.create(model="default", input="So?", previous_response_id=second.id)


async def test_what_is_not_to_be_kept_cannot_be_gone_on_from(gpt):
    first = await gpt.responses.create(model="default", input="Hello!", store=False)
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError, match="is kept") as caught:
        await gpt.responses.create(model="default", input="And?", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


@pytest.mark.parametrize("name", ["resp_1", "resp_" + "0" * 32, "%00", "..%2f..", "x" * 3000])
async def test_an_id_that_nobody_was_given_is_not_found(client, name):
    assert (await client.get(f"{RESPONSES}/{name}")).status_code == 404
    assert (await client.delete(f"{RESPONSES}/{name}")).status_code == 404


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [(Overloaded("32 turns wait already", 3), 429), (Unavailable("the model is being loaded"), 503)],
)
async def test_an_error_before_the_first_word_is_a_status(client, conversation, error, status, stream):
    conversation.script = [error]
    answer = await client.post(RESPONSES, json={"input": "Hello!", "stream": stream})
    assert answer.status_code == status
    assert "error" in answer.json()
    assert conversation.closed == 1


async def test_an_error_in_a_begun_stream_fails_the_response(gpt, conversation):
    conversation.script = ["Hel", GenerationFailed("the model failed")]
    events = [event async for event in await gpt.responses.create(model="default", input="Hello!", stream=True)]
    assert events[-1].type == "response.failed"
    assert (events[-1].response.error.message, events[-1].response.status) == ("the model failed", "failed")
    [said] = events[-1].response.output
    assert (said.status, said.content[0].text) == ("incomplete", "Hel")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.retrieve(events[-1].response.id)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "wish"}]}, "input[0].type"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
async def test_a_wrong_field_is_named_in_openais_shape(client, fields, param):
    answer = await client.post(RESPONSES, json={"input": "Hello!"} | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
