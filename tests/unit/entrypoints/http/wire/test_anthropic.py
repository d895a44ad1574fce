"""Anthropic's requests become prompts, without loss and without silence."""

import json

import pytest
from msgspec import convert

from agent_memory.domain.chat import Message, Tool, ToolCall, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.entrypoints.http.wire.anthropic import CountRequest, MessagesRequest, to_count, to_prompt
from agent_memory.settings import Machine, ModelSettings, Settings, plan_model

PLAN = plan_model(
    Settings(model=ModelSettings(id="a/b", default_temperature=0.5)), (), Machine(apple_silicon=False, memory=0)
)
HI = {"role": "user", "content": "hi"}
WEATHER = {"name": "weather", "description": "It tells.", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}


def prompt(**fields):
    return to_prompt(convert({"max_tokens": 9, "messages": [HI]} | fields, MessagesRequest), PLAN, "a tenant")


def messages(*given, system=None):
    return prompt(messages=list(given), system=system).messages


def text(words):
    return {"type": "text", "text": words}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def refusal(**fields):
    with pytest.raises(InvalidInput) as caught:
        prompt(**fields)
    return caught.value


def test_what_is_left_open_is_the_models_plan():
    assert prompt().sampling == Sampling(0.5, 1.0)
    assert (prompt().tenant, prompt().agent, prompt().use) == ("a tenant", None, ToolUse())


def test_what_is_asked_is_what_is_done():
    asked = prompt(temperature=0, top_p=0.9, top_k=7, stop_sequences=["\n", "END"])
    assert asked.sampling == Sampling(0, 0.9, top_k=7)
    assert (asked.max_tokens, asked.stop, asked.at_most) == (9, ("\n", "END"), True)


@pytest.mark.parametrize("system", ["Be brief.", [text("Be brief.") | {"cache_control": {"type": "ephemeral"}}]])
def test_the_system_prompt_comes_first(system):
    assert messages(HI, system=system) == (Message("system", "Be brief."), Message("user", "hi"))


def test_blocks_of_a_person_are_paragraphs():
    assert messages(user(text("one"), text("two"))) == (Message("user", "one\n\ntwo"),)


def test_blocks_of_an_answer_are_put_together_as_they_were_said():
    told = assistant({"type": "thinking", "thinking": "hm", "signature": "x"}, text("I "), text("look."), CALL)
    assert messages(HI, told, user(RESULT))[1] == Message(
        "assistant", "I look.", "hm", (ToolCall("toolu_1", "weather", '{"city":"Oslo"}'),)
    )


def test_a_sealed_thought_is_nothing_to_read():
    told = assistant({"type": "redacted_thinking", "data": "xyz"}, text("Yes."))
    assert messages(HI, told, HI)[1] == Message("assistant", "Yes.")


def test_a_result_answers_its_call_and_what_follows_is_the_users():
    found = messages(HI, assistant(CALL), user(RESULT, text("And then?")))
    assert found[2:] == (Message("tool", "rain", call_id="toolu_1"), Message("user", "And then?"))


def test_results_of_several_calls_stay_apart():
    second = CALL | {"id": "toolu_2"}
    found = messages(HI, assistant(CALL, second), user(RESULT, RESULT | {"tool_use_id": "toolu_2", "content": None}))
    assert found[2:] == (Message("tool", "rain", call_id="toolu_1"), Message("tool", "", call_id="toolu_2"))


def test_a_result_may_be_blocks_and_an_error_says_so():
    failed = RESULT | {"content": [text("no"), text("way")], "is_error": True}
    assert messages(HI, assistant(CALL), user(failed))[2].content == "Error: no\n\nway"


def test_a_result_without_a_call_is_refused():
    assert refusal(messages=[user(RESULT)]).field == "messages[0].content[0].tool_use_id"


def test_neighbours_of_one_speaker_are_one_message():
    assert messages(HI, HI) == (Message("user", "hi\n\nhi"),)
    assert messages(HI, assistant(text("a")), assistant(text("b")), HI)[1] == Message("assistant", "ab")


def test_what_the_system_says_later_on_is_a_reminder():
    later = {"role": "system", "content": "Be kind."}
    assert messages(HI, later) == (Message("user", "hi\n\n<system-reminder>\nBe kind.\n</system-reminder>"),)
    assert messages(later, HI)[0] == Message("system", "Be kind.")


def test_an_answer_cannot_be_continued():
    assert "prefill" in refusal(messages=[HI, assistant(text("The"))]).reason


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (user(CALL), "messages[0].content[0].type"),
        (user({"type": "thinking", "thinking": "x"}), "messages[0].content[0].type"),
        ({"role": "system", "content": [CALL]}, "messages[0].content[0].type"),
        (user(), "messages[0].content"),
    ],
)
def test_a_block_out_of_place_is_refused(given, field):
    assert refusal(messages=[given, HI]).field == field


def test_tools_keep_their_schemas():
    [tool] = prompt(
        tools=[WEATHER | {"type": "custom", "strict": True, "cache_control": {"type": "ephemeral"}}]
    ).use.tools
    assert (tool.name, tool.description, json.loads(tool.parameters)) == ("weather", "It tells.", {"type": "object"})
    assert tool.strict


def test_examples_of_a_tools_input_are_told_to_the_model():
    [tool] = prompt(tools=[WEATHER | {"input_examples": [{"city": "Oslo"}]}]).use.tools
    assert tool.description == 'It tells.\n\nExamples of its input:\n{"city":"Oslo"}'


@pytest.mark.parametrize(
    ("choice", "use"),
    [
        (None, ("auto", True)),
        ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", False)),
        ({"type": "any"}, ("required", True)),
        ({"type": "none"}, ("none", True)),
        ({"type": "tool", "name": "weather"}, (Tool("weather", '{"type":"object"}', "It tells."), True)),
    ],
)
def test_the_choice_among_tools(choice, use):
    told = prompt(tools=[WEATHER], tool_choice=choice).use
    assert (told.choice, told.parallel) == use


def test_the_format_of_an_answer_is_its_grammar():
    wanted = {"type": "json_schema", "schema": {"type": "array"}}
    assert prompt(output_config={"format": wanted, "effort": "low"}).grammar.text == '{"type":"array"}'
    assert prompt(output_format=wanted).grammar.field == "output_format.schema"


@pytest.mark.parametrize(
    ("thinking", "thinks"),
    [
        (None, True),
        ({"type": "enabled", "budget_tokens": 8}, True),
        ({"type": "adaptive", "display": "omitted"}, True),
        ({"type": "between_tools"}, True),
        ({"type": "disabled"}, False),
    ],
)
def test_thinking_is_switched(thinking, thinks):
    assert prompt(thinking=thinking).thinking == thinks


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking.budget_tokens"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "weather"}]}, "tools[0].input_schema"),
        ({"tools": [WEATHER | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [WEATHER | {"allowed_callers": ["code_execution_20250825"]}]}, "tools[0].allowed_callers"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "time"}}, "tool_choice.name"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "context_management.edits[0].type"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(fields, field):
    assert refusal(**fields).field == field


def test_what_is_done_anyway_may_be_asked_for():
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    told = prompt(speed="standard", service_tier="auto", context_management=edits, cache_control={"type": "ephemeral"})
    assert told == prompt()


def test_fields_nobody_knows_are_ignored():
    assert prompt(made_up=1) == prompt()


def test_the_users_id_names_the_agent():
    assert prompt(metadata={"user_id": "ada"}).agent == AgentName("a tenant", "ada")


def test_what_is_counted_is_what_is_read():
    fields = {"messages": [HI], "system": "Be brief.", "tools": [WEATHER], "thinking": {"type": "disabled"}}
    counted, read = to_count(convert(fields, CountRequest), "a tenant"), prompt(**fields)
    assert (counted.messages, counted.use, counted.thinking) == (read.messages, read.use, read.thinking)


def test_what_claude_code_sends_is_taken_whole():
    """The shape of a first request of Claude Code 2.1.197, with its texts cut short."""
    ephemeral = {"cache_control": {"type": "ephemeral"}}
    asked = prompt(
        model="claude-opus-4-8",
        max_tokens=64_000,
        system=[
            text("x-anthropic-billing-header: cc_version=2.1.197.0df; cc_entrypoint=sdk-cli;"),
            text("You are an agent.") | ephemeral,
            text("\nYou are interactive.") | {"cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}},
        ],
        messages=[
            user(text("<system-reminder>\nToday's date is 2026-11-21.\n</system-reminder>"), text("hi") | ephemeral),
            {"role": "system", "content": "Available agent types: none."},
        ],
        tools=[WEATHER | {"eager_input_streaming": True}],
        metadata={"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
        thinking={"type": "adaptive"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "high"},
        stream=True,
    )
    assert [message.role for message in asked.messages] == ["system", "user"]
    assert asked.messages[1].content.endswith("<system-reminder>\nAvailable agent types: none.\n</system-reminder>")
    assert (asked.agent.id[:14], asked.announced, asked.thinking) == ('{"device_id":"', True, True)
    assert len(asked.use.tools) == 1
