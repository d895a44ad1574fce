"""Thoughts, text and calls are told apart, however the text is cut on its way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.application.replies import CallArguments, CallBegun, Delta, Thought
from agent_memory.application.utterance import Calling, Utterance
from agent_memory.domain.chat import Tool
from agent_memory.domain.speech import JSON_CALL, Markers, parse_json

THINK = Markers("<think>", "</think>")
TOOLS = (Tool("look"), Tool("say"))


def call(name, arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def hear(pieces, thought=THINK, parse=None, *, thinking=False, calling=True):
    """Thoughts, text and calls: what came of the pieces; and the utterance."""
    utterance = Utterance(thought, Calling(JSON_CALL, parse, TOOLS) if calling else None, thinking=thinking)
    told = [part for piece in pieces for part in utterance.add(piece)] + utterance.finish()
    thoughts = "".join(part.text for part in told if isinstance(part, Thought))
    text = "".join(part.text for part in told if isinstance(part, Delta))
    calls = [[part.name, ""] for part in told if isinstance(part, CallBegun)]
    for part in told:
        if isinstance(part, CallArguments):
            calls[part.number][1] += part.text
    return (thoughts, text, [tuple(one) for one in calls]), utterance


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Hello.\n", ("", "Hello.\n", [])),
        ("  indented\n\n", ("", "  indented\n\n", [])),
        ("<think>\nHm.\n</think>\n\nHello.", ("Hm.", "Hello.", [])),
        ("\n<think>Hm.</think>  Hello.", ("Hm.", "  Hello.", [])),
        ("No <think>tags</think>.", ("", "No <think>tags</think>.", [])),
        ("<thi", ("", "<thi", [])),
        ("<think>cut off\n", ("cut off", "", [])),
        (call("look", '{"a": [1, "}"]}'), ("", "", [("look", '{"a": [1, "}"]}')])),
        ("Wait.\n\n" + call("look", "{}"), ("", "Wait.", [("look", "{}")])),
        (
            "<think>Hm.</think>\n" + call("look", r'{"q": "\"{\\"}') + "\n" + call("say", "{}") + "\n",
            ("Hm.", "", [("look", r'{"q": "\"{\\"}'), ("say", "{}")]),
        ),
        ("a < b <tool", ("", "a < b <tool", [])),
    ],
)
def test_thoughts_text_and_calls_are_told_apart(said, heard):
    assert hear([said])[0] == heard
    assert hear(said)[0] == heard


def test_a_thought_may_have_begun_in_the_prompt():
    assert hear(["Hm.\n</think>\n\nYes"], thinking=True)[0] == ("Hm.", "Yes", [])


def test_without_tools_a_call_is_text():
    said = call("look", "{}")
    assert hear(said, calling=False)[0] == ("", said, [])


def test_a_call_that_is_cut_off_is_not_counted():
    (_, _, calls), utterance = hear(call("look", '{"a": 1')[:-14])
    assert calls == [("look", '{"a": 1')]
    assert utterance.calls == 0
    assert utterance.calling


def test_a_call_that_nobody_held_to_a_form_is_told_when_it_is_complete():
    assert hear(call("look", '{"a":1}'), parse=parse_json)[0] == ("", "", [("look", '{"a": 1}')])
    for wrong in (call("nobody", "{}"), call("look", "[]"), "<tool_call>look</tool_call>"):
        assert hear(wrong, parse=parse_json)[0][2] == []
        assert hear(wrong, parse=parse_json)[0][1].startswith("<tool_call>")


def test_a_call_whose_mark_has_no_end_ends_with_the_answer():
    def parse(text, _):
        return [("look", json.dumps(json.loads(text)))]

    utterance = Utterance(None, Calling(Markers("[CALL]", ""), parse, TOOLS))
    begun, arguments = [*utterance.add('[CALL]{"a":'), *utterance.add("1}"), *utterance.finish()]
    assert (begun.name, arguments.text) == ("look", '{"a": 1}')


BITS = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "\n",
    " ",
    "<",
    "x",
    "{",
    "}",
    '"',
    call("say", '{"a": 1}'),
]


@given(st.lists(st.sampled_from(BITS), max_size=12), st.data(), st.booleans(), st.sampled_from([None, parse_json]))
def test_however_the_text_is_cut_the_pieces_are_the_same(bits, data, thinking, parse):
    said = "".join(bits)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=8)))
    pieces = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert hear(pieces, parse=parse, thinking=thinking)[0] == hear([said], parse=parse, thinking=thinking)[0]
