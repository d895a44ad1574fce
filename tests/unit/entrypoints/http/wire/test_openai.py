"""OpenAI's requests become prompts, without loss and without silence."""

import pytest
from msgspec import convert

from agent_memory.application.conversation import Finish, Message
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.turn import Sampling
from agent_memory.entrypoints.http.wire.openai import ChatRequest, to_prompt, usage_of
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
        ("n", 2),
        ("tools", [{"type": "function"}]),
        ("tool_choice", "required"),
        ("functions", [{"name": "f"}]),
        ("response_format", {"type": "json_object"}),
        ("logprobs", True),
        ("logit_bias", {"50256": -100}),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -0.5),
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
    usage = usage_of(Finish("stop", prompt_tokens=10, cached_tokens=9, completion_tokens=3))
    assert (usage.total_tokens, usage.prompt_tokens_details.cached_tokens) == (13, 9)
