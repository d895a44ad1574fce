"""OpenAI's responses: items become a conversation, and what cannot be done is refused by name."""

import json

import pytest
from msgspec import convert

from agent_memory.domain.chat import Message, Tool, ToolCall, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.turn import Sampling
from agent_memory.domain.responses import KeptResponse
from agent_memory.entrypoints.http.wire.effort import refuse_effort
from agent_memory.entrypoints.http.wire.responses import (
    ResponsesRequest,
    asked_by,
    check_lineage,
    to_prompt,
)
from agent_memory.settings import Machine, ModelSettings, Settings, plan_model

PLAN = plan_model(
    Settings(model=ModelSettings(id="a/b", default_temperature=0.5)), (), Machine(apple_silicon=False, memory=0)
)
CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}


def request(**fields):
    return convert({"input": "hi"} | fields, ResponsesRequest)


def prompt(*before, **fields):
    return to_prompt(request(**fields), before, PLAN, "a tenant")


def refusal(**fields):
    with pytest.raises(InvalidInput) as caught:
        prompt(**fields)
    return caught.value.field


def said(role, content):
    return {"role": role, "content": content}


def test_a_text_is_the_users():
    assert prompt(instructions="Be brief.").messages == (Message("system", "Be brief."), Message("user", "hi"))
    assert (prompt().sampling, prompt().max_tokens) == (Sampling(0.5, 1.0), None)


def test_a_message_needs_no_type_and_its_parts_are_one_text():
    parts = [{"type": "input_text", "text": "one "}, {"type": "input_text", "text": "two"}]
    assert prompt(input=[said("user", parts)]).messages == (Message("user", "one two"),)


def test_developers_and_instructions_speak_as_one_system():
    given = [{"type": "message"} | said("developer", "Be kind."), said("user", "hi")]
    assert prompt(input=given, instructions="Be brief.").messages[0] == Message("system", "Be brief.\n\nBe kind.")


def test_an_answer_of_several_items_is_one_message():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    spoken = {"type": "message", "id": "msg_1"} | said("assistant", [{"type": "output_text", "text": "I look."}])
    told = prompt(input=[said("user", "hi"), thought, spoken, CALL, OUTPUT]).messages
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    assert told[1:] == (Message("assistant", "I look.", "hm", (call,)), Message("tool", "rain", call_id="call_1"))


def test_a_sealed_thought_is_nothing_to_read():
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
    told = prompt(input=[said("user", "hi"), sealed, said("assistant", "Yes."), said("user", "So?")]).messages
    assert told[1] == Message("assistant", "Yes.")


def test_what_went_before_comes_before():
    before = KeptResponse(
        "resp_1", '[{"role":"user","content":"hi"}]', '{"output":[{"role":"assistant","content":"ho"}]}'
    )
    assert prompt(before, input="So?").messages == (
        Message("user", "hi"),
        Message("assistant", "ho"),
        Message("user", "So?"),
    )


def test_a_lineage_must_be_whole():
    check_lineage(request(), [])
    check_lineage(request(previous_response_id="resp_1"), [KeptResponse("resp_1", "[]", "{}")])
    for before in ([], [KeptResponse("resp_1", "[]", "{}", "resp_0")]):
        with pytest.raises(InvalidInput, match="previous_response_id"):
            check_lineage(request(previous_response_id="resp_1"), before)


def test_a_lineage_has_its_bounds():
    one, large = KeptResponse("resp_1", "[]", "{}"), KeptResponse("resp_1", "x" * (32 << 20), "")
    check_lineage(request(previous_response_id="resp_1"), [one] * 1000)
    check_lineage(request(previous_response_id="resp_1"), [large])
    for before in ([one] * 1001, [large, one]):
        with pytest.raises(InvalidInput, match="'resp_1' has more than 1000 responses or 33554432 bytes"):
            check_lineage(request(previous_response_id="resp_1"), before)


def test_of_what_was_asked_that_is_kept_which_is_read():
    part = {"type": "input_text", "text": "hi"}
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    given = [said("user", [part | {"logo": "x"}]), thought, CALL, OUTPUT, {"type": "message"} | said("system", "So?")]
    kept = asked_by(request(input=[item | {"junk": "x" * 99, "id": "y"} for item in given]))
    assert len(kept) < 500
    told = json.dumps({"output": []})
    assert prompt(KeptResponse("resp_1", kept, told)).messages[:-1] == prompt(input=given).messages


@pytest.mark.parametrize(
    ("choice", "use"),
    [
        (None, ("auto", True)),
        ("none", ("none", True)),
        ("required", ("required", True)),
        ({"type": "function", "name": "weather"}, (Tool("weather", '{"type":"object"}', strict=True), False)),
    ],
)
def test_the_choice_among_tools(choice, use):
    told = prompt(tools=[WEATHER], tool_choice=choice).use
    assert (told.choice, told.parallel) == use
    assert prompt(tools=[WEATHER], parallel_tool_calls=False).use.parallel is False
    assert prompt().use == ToolUse()


def test_the_format_of_an_answer_is_its_grammar():
    wanted = {"type": "json_schema", "name": "list", "schema": {"type": "array"}}
    assert prompt(text={"format": wanted}).grammar.text == '{"type":"array"}'
    assert json.loads(prompt(text={"format": {"type": "json_object"}}).grammar.text) == {"type": "object"}
    assert prompt(text={"format": {"type": "text"}}).grammar is None


@pytest.mark.parametrize(("effort", "thinks"), [("none", False), ("low", True), (None, True)])
def test_thinking_is_switched(effort, thinks):
    assert prompt(reasoning={"effort": effort}).thinking is thinks


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [said("user", [{"type": "input_image"}])]}, "input[0].content[0].type"),
        ({"input": [said("wizard", "x")]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [OUTPUT]}, "input[0].call_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "time"}}, "tool_choice.name"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "x"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields, field):
    assert refusal(**fields) == field


def test_fields_nobody_knows_are_ignored():
    assert prompt(made_up=1, include=["reasoning.encrypted_content"], truncation="disabled") == prompt()


def test_a_model_that_does_not_think_cannot_be_asked_to():
    asked = request(reasoning={"effort": "high"}).reasoning.effort
    refuse_effort("reasoning.effort", asked, thinks=True)
    refuse_effort("reasoning.effort", request(reasoning={"effort": "none"}).reasoning.effort, thinks=False)
    with pytest.raises(InvalidInput, match=r"reasoning\.effort: the model that is loaded does not think"):
        refuse_effort("reasoning.effort", asked, thinks=False)
