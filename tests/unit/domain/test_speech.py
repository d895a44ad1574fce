"""Tools and calls in plain words, for templates that know nothing of them."""

import json

from agent_memory.domain.chat import Message, Tool, ToolCall
from agent_memory.domain.speech import in_form, told

LOOK = Tool("look", json.dumps({"properties": {"b": {"properties": {"y": {}, "x": {}}}, "a": {}}}), "Looks around.")
CALLED = Message("assistant", "Wait.", calls=(ToolCall("1", "look", '{"a":1,"b":{"x":2,"y":3},"c":4}'),))


def test_tools_are_told_in_the_system_prompt():
    [system, user] = told([Message("system", "Be brief."), Message("user", "Hi")], [LOOK])
    assert system.content.startswith("Be brief.\n\nYou can call these functions.")
    assert '{"name": "look", "description": "Looks around.", "arguments": ' in system.content
    assert user == Message("user", "Hi")


def test_without_a_system_prompt_there_is_one_with_tools():
    assert [message.role for message in told([Message("user", "Hi")], [LOOK])] == ["system", "user"]
    assert told([Message("user", "Hi")], []) == [Message("user", "Hi")]


def test_calls_and_answers_are_plain_text():
    talk = [CALLED, Message("tool", "a tree", call_id="1"), Message("tool", "a hill", call_id="2")]
    said, answered = told(talk, [LOOK])[1:]
    assert said.content == (
        'Wait.\n<tool_call>\n{"name": "look", "arguments": {"b": {"y": 3, "x": 2}, "a": 1, "c": 4}}\n</tool_call>'
    )
    assert answered.role == "user"
    assert answered.content == ("<tool_response>\na tree\n</tool_response>\n<tool_response>\na hill\n</tool_response>")


def test_a_longer_conversation_begins_like_the_shorter_one():
    talk = [Message("user", "Hi"), CALLED, Message("tool", "a tree", call_id="1"), Message("user", "And?")]
    for length in range(1, len(talk)):
        assert told(talk[:length], [LOOK]) == told(talk, [LOOK])[: length + 1]


def test_calls_are_the_same_however_a_client_writes_them():
    spaced = ToolCall("1", "look", '{"c": 4,\n "b": {"x": 2, "y": 3}, "a": 1}')
    assert in_form([CALLED.calls[0]], [LOOK])[0].arguments == '{"b": {"y": 3, "x": 2}, "a": 1, "c": 4}'
    assert json.loads(in_form([spaced], [LOOK])[0].arguments) == json.loads(spaced.arguments)
    assert in_form([spaced], [LOOK])[0].arguments.startswith('{"b": {"y": 3, "x": 2}, "a": 1')
    for arguments in ("no JSON", "[" * 100_000 + "]" * 100_000):
        assert in_form([ToolCall("1", "look", arguments)], [LOOK])[0].arguments == arguments
