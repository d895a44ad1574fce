"""OpenAI's requests become prompts, without loss and without silence."""

import json

import pytest
from msgspec import convert

from agent_memory.application.replies import Finish
from agent_memory.domain.chat import Message, Tool, ToolCall, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.turn import Sampling
from agent_memory.entrypoints.http.wire.effort import refuse_effort
from agent_memory.entrypoints.http.wire.openai import ChatRequest, choices_of, to_prompt, usage_of
from agent_memory.settings import Machine, ModelSettings, Settings, plan_model

PLAN = plan_model(
    Settings(model=ModelSettings(id="a/b", default_temperature=0.5)), (), Machine(apple_silicon=False, memory=0)
)


def prompt(**fields):
    fields.setdefault("messages", [{"role": "user", "content": "hi"}])
    return to_prompt(convert(fields, ChatRequest), PLAN)


def test_what_is_left_open_is_the_models_plan():
    assert prompt().sampling == Sampling(0.5, 1.0, None)
    assert prompt().max_tokens is None


def test_what_is_asked_is_what_is_done():
    asked = prompt(temperature=0, top_p=0.9, seed=7, max_tokens=5, stop="\n")
    assert asked.sampling == Sampling(0, 0.9, 7)
    assert (asked.max_tokens, asked.stop) == (5, ("\n",))


def test_the_newer_name_of_the_limit_wins():
    assert prompt(max_tokens=5, max_completion_tokens=6).max_tokens == 6


CALLED = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}


def test_calls_their_answers_and_thoughts_are_part_of_a_conversation():
    talk = [
        {"role": "assistant", "content": None, "tool_calls": [CALLED], "reasoning_content": "Hm."},
        {"role": "tool", "content": [{"type": "text", "text": "a tree"}], "tool_call_id": "call_1"},
    ]
    called, answered = prompt(messages=talk).messages
    assert called == Message("assistant", "", "Hm.", (ToolCall("call_1", "look", '{"at":1}'),))
    assert answered == Message("tool", "a tree", call_id="call_1")


def test_tools_may_be_called_as_the_request_says():
    use = prompt(tools=[LOOK], parallel_tool_calls=False).use
    assert use == ToolUse((Tool("look", '{"type":"object"}', "", strict=True),), "auto", parallel=False)
    assert prompt(tools=[LOOK], tool_choice="none").use.choice == "none"
    named = {"type": "function", "function": {"name": "look"}}
    assert prompt(tools=[LOOK], tool_choice=named).use.choice == use.tools[0]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"tool_choice": "required"}, "tool_choice: there are no tools"),
        ({"tools": [LOOK, LOOK]}, "tools: there are 2 of the name 'look'"),
        (
            {"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "say"}}},
            "tool_choice: there is no tool 'say'",
        ),
        ({"functions": [{"name": "f"}]}, "functions: is not supported by this server; use tools"),
        ({"chat_template_kwargs": {"depth": 3}}, "chat_template_kwargs.depth: is not supported"),
    ],
)
def test_tools_that_cannot_be_called_like_this_are_refused(fields, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        prompt(**fields)


def test_thinking_can_be_switched_off():
    assert prompt().thinking
    assert prompt(reasoning_effort="low").thinking
    assert not prompt(reasoning_effort="none").thinking
    assert not prompt(chat_template_kwargs={"enable_thinking": False}).thinking


def test_a_model_that_does_not_think_cannot_be_asked_to():
    request = convert({"messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "high"}, ChatRequest)
    refuse_effort("reasoning_effort", request.reasoning_effort, thinks=True)
    with pytest.raises(InvalidInput, match="reasoning_effort: the model that is loaded does not think"):
        refuse_effort("reasoning_effort", request.reasoning_effort, thinks=False)


def test_text_parts_are_one_text():
    content = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    assert prompt(messages=[{"role": "user", "content": content}]).messages == (Message("user", "one two"),)


def test_a_developer_speaks_as_the_system():
    assert prompt(messages=[{"role": "developer", "content": "x"}]).messages[0].role == "system"


def test_fields_nobody_knows_are_ignored():
    assert prompt(made_up=1, user="u", metadata={}).messages


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verbosity", "low"),
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
        ("store", True),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(field, value):
    with pytest.raises(InvalidInput, match=f"{field}: is not supported"):
        prompt(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 1), ("tools", []), ("tool_choice", "auto"), ("response_format", {"type": "text"}), ("logprobs", False)],
)
def test_asking_for_what_is_done_anyway_is_fine(field, value):
    assert prompt(**{field: value}).messages


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"role": "assistant", "content": None}, r"messages\[0\].content"),
        ({"role": "tool", "content": "x"}, r"messages\[0\].tool_call_id"),
        ({"role": "assistant", "content": "x", "function_call": {}}, r"function_call: is not supported"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            r"content\[0\]: is of type image_url",
        ),
        ({"role": "user", "content": "x", "tool_calls": [CALLED]}, r"messages\[0\].tool_calls: only an assistant"),
    ],
)
def test_a_message_that_cannot_be_is_refused(message, field):
    with pytest.raises(InvalidInput, match=field):
        prompt(messages=[message])


def test_usage_tells_what_was_cached():
    usage = usage_of([Finish("stop", prompt_tokens=10, cached_tokens=9, completion_tokens=3)])
    assert (usage.total_tokens, usage.prompt_tokens_details.cached_tokens) == (13, 9)


def test_several_choices_share_one_prompt():
    usage = usage_of([Finish("stop", 10, 4, 3), Finish("length", 10, 9, 5)])
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 8, 18)
    assert usage.prompt_tokens_details.cached_tokens == 4


def test_what_shapes_the_distribution_reaches_the_sampler():
    told = prompt(frequency_penalty=0.5, presence_penalty=-1, logit_bias={"7": -100}, logprobs=True, top_logprobs=3)
    sampling = told.sampling
    assert (sampling.frequency_penalty, sampling.presence_penalty, sampling.logprobs) == (0.5, -1, 3)
    assert sampling.logit_bias == ((7, -100.0),)
    assert prompt(logprobs=True).sampling.logprobs == 0
    assert prompt().sampling.logprobs is None
    cut = prompt(top_k=5, min_p=0.1, repetition_penalty=1.1).sampling
    assert (cut.top_k, cut.min_p, cut.repetition_penalty) == (5, 0.1, 1.1)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"logit_bias": {"seven": 1}}, "logit_bias: 'seven' is not a token id"),
        ({"logit_bias": {"7" * 5000: 1}}, "logit_bias: '7777"),
        ({"top_logprobs": 2}, "top_logprobs: needs logprobs to be true"),
    ],
)
def test_what_cannot_shape_it_is_named(fields, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        prompt(**fields)


def test_a_schema_is_a_grammar():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    told = prompt(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})
    assert json.loads(told.grammar.text) == schema
    assert told.grammar.field == "response_format.json_schema.schema"
    assert prompt(response_format={"type": "json_object"}).grammar.text == '{"type": "object"}'
    assert prompt(response_format={"type": "text"}).grammar is None


def test_choices_differ_by_their_seeds():
    seeds = [one.sampling.seed for one in choices_of(prompt(seed=5), 3)]
    assert seeds == [5, 6, 7]
    assert [one.sampling.seed for one in choices_of(prompt(), 2)] == [None, None]


def test_a_refusal_is_what_an_assistant_said():
    refused = {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert prompt(messages=[refused]).messages == (Message("assistant", "I cannot."),)
