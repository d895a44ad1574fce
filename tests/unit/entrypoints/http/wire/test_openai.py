"""OpenAI's requests become prompts, without loss and without silence."""

import json

import pytest
from msgspec import convert

from agent_memory.application.conversation import Message
from agent_memory.application.replies import Finish
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.turn import Sampling
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
        ("tools", [{"type": "function"}]),
        ("tool_choice", "required"),
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
        ("reasoning_effort", "high"),
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
        ({"role": "assistant", "content": "", "tool_calls": [{"id": "x"}]}, r"messages\[0\].tool_calls"),
    ],
)
def test_a_message_without_text_is_refused(message, field):
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


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"logit_bias": {"seven": 1}}, "logit_bias: 'seven' is not a token id"),
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
