"""OpenAI's own clients, and LangChain's, call tools and get JSON from the real server, whose weights are random."""

import json
from typing import Literal

import openai
import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_openai import ChatOpenAI
from models import make_thinking_model
from pydantic import BaseModel

pytestmark = pytest.mark.integration

ASK = [{"role": "user", "content": "What is the weather in Rome?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 8}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
NAMED = {"type": "function", "function": {"name": "weather"}}


class Verdict(BaseModel):
    fits: bool
    size: Literal["small", "large"]


def options(**more):
    return {"model": "default", "messages": ASK, "max_tokens": 300, "temperature": 1, "tools": [WEATHER]} | more


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_forced_call_is_valid(client, choice):
    asked = options(tool_choice=choice, parallel_tool_calls=False, seed=5)
    choice = client.chat.completions.create(**asked).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    [call] = choice.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments).keys() == {"city", "unit"}
    with client.chat.completions.stream(**asked) as stream:
        last = stream.get_final_completion().choices[0]
    assert last.finish_reason == "tool_calls"
    assert last.message.tool_calls[0].function.arguments == call.function.arguments
    assert last.message.tool_calls[0].function.parsed_arguments == json.loads(call.function.arguments)


async def test_the_asynchronous_client_streams_a_call(server):
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(**options(tool_choice="required", seed=2, stream=True))
        deltas = [choice.delta async for chunk in stream for choice in chunk.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert calls[0].id.startswith("call_")
    assert calls[0].function.name == "weather"
    first = "".join(call.function.arguments for call in calls if call.index == 0)
    assert json.loads(first)["unit"] in ("C", "F")


def test_a_call_and_its_answer_go_on_in_the_same_prefix(client):
    first = client.chat.completions.create(**options(tool_choice=NAMED, seed=7))
    message = first.choices[0].message
    call = message.tool_calls[0]
    spaced = json.dumps(json.loads(call.function.arguments), indent=2, sort_keys=True)
    again = {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": spaced}}
    talk = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [again]},
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny."},
    ]
    second = client.chat.completions.create(**options(messages=talk, max_tokens=4, tool_choice="none"))
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens


def test_the_model_may_choose(client):
    choice = client.chat.completions.create(**options(max_tokens=40, seed=1)).choices[0]
    assert choice.finish_reason in ("stop", "length", "tool_calls")
    nothing = client.chat.completions.create(**options(max_tokens=40, tool_choice="none")).choices[0]
    assert not nothing.message.tool_calls


def test_pydantic_models_are_answered(client):
    asked = {"model": "default", "messages": ASK, "max_tokens": 200, "temperature": 1, "seed": 3}
    parsed = client.chat.completions.parse(response_format=Verdict, **asked).choices[0].message.parsed
    assert parsed.size in ("small", "large")


def test_what_cannot_be_is_a_bad_request(client):
    for fields, param in (
        ({"tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"functions": [{"name": "f"}]}, "functions"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**options(**fields))
        assert caught.value.param == param


@pytest.fixture(scope="module")
def chat(server):
    url = f"{server.url}/v1"
    return ChatOpenAI(base_url=url, api_key="none", model="default", temperature=1, seed=4, max_retries=0)


def test_langchain_binds_tools(chat):
    answer = chat.bind_tools([WEATHER], tool_choice="weather").invoke("Rome?", max_tokens=300)
    [call] = answer.tool_calls[:1]
    assert call["name"] == "weather"
    assert call["args"].keys() == {"city", "unit"}
    talk = [("user", "Rome?"), AIMessage("", tool_calls=[call]), ToolMessage("Sunny.", tool_call_id=call["id"])]
    assert chat.bind_tools([WEATHER]).invoke(talk, max_tokens=5).response_metadata["finish_reason"]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_gets_structured_output(chat, method):
    verdict = chat.with_structured_output(Verdict, method=method).invoke("Well?", max_tokens=200)
    assert verdict.size in ("small", "large")


async def test_langchain_streams(chat):
    texts = [chunk.text async for chunk in chat.astream("Well?", max_tokens=12)]
    assert "".join(texts)
    bound = chat.bind_tools([WEATHER], tool_choice="required")
    whole = None
    async for chunk in bound.astream("Rome?", max_tokens=300):
        whole = chunk if whole is None else whole + chunk
    assert whole.tool_calls[0]["name"] == "weather"


@pytest.fixture(scope="module")
def thinker(start, tmp_path_factory):
    """A client of a server whose model thinks."""
    folder = tmp_path_factory.mktemp("thinker")
    server = start(folder / "data", "--model", str(make_thinking_model(folder / "thinker"))).wait_ready()
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def thought_and_called(client):
    for seed in range(40):
        asked = options(max_tokens=3000, tool_choice=NAMED, seed=seed)
        answer = client.chat.completions.create(**asked)
        if answer.choices[0].finish_reason == "tool_calls" and answer.usage.completion_tokens_details.reasoning_tokens:
            return asked, answer
    raise AssertionError("no answer came to its end")


def test_thoughts_are_told_beside_the_answer(thinker):
    asked, answer = thought_and_called(thinker)
    message = answer.choices[0].message
    assert message.reasoning_content
    assert "<think>" not in message.reasoning_content
    with thinker.chat.completions.create(**asked, stream=True) as stream:
        deltas = [choice.delta for chunk in stream for choice in chunk.choices]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == message.reasoning_content
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(call.function.arguments for call in calls) == message.tool_calls[0].function.arguments


def test_a_turn_is_found_without_its_thought(thinker):
    _, answer = thought_and_called(thinker)
    call = answer.choices[0].message.tool_calls[0]
    spaced = json.dumps(json.loads(call.function.arguments), indent=2, sort_keys=True)
    again = {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": spaced}}
    talk = [*ASK, {"role": "assistant", "content": None, "tool_calls": [again]}]
    talk.append({"role": "tool", "tool_call_id": call.id, "content": "Sunny."})
    following = thinker.chat.completions.create(**options(messages=talk, max_tokens=4))
    usage = following.usage
    behind = "<|im_end|>_<|im_start|>user_<tool_response>_Sunny._</tool_response><|im_end|>_<|im_start|>assistant_"
    assert usage.prompt_tokens_details.cached_tokens >= usage.prompt_tokens - len(behind)


def test_thinking_can_be_switched_off(thinker):
    for asked in ({"reasoning_effort": "none"}, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}):
        answer = thinker.chat.completions.create(**options(tool_choice=NAMED, **asked))
        assert answer.usage.completion_tokens_details.reasoning_tokens == 0
        assert answer.choices[0].message.tool_calls
