"""The pieces of a reply become blocks and events, and the events add up to the blocks."""

import pytest
from msgspec import to_builtins

from agent_memory.application.replies import Begun, CallArguments, CallBegun, Delta, Finish, Thought
from agent_memory.entrypoints.http.wire.anthropic_answers import Telling

END = Finish("stop", prompt_tokens=12, cached_tokens=8, completion_tokens=2)


def tell(*pieces, **options):
    telling = Telling("msg_1", "a model", 9, **options)
    events = [event for piece in pieces for event in telling.hear(piece)]
    return to_builtins(events), to_builtins(telling.answer)


def types(events):
    return [event["type"].removeprefix("content_block_") for event in events]


def test_text_is_one_block():
    events, answer = tell(Begun(12, 8), Delta("Hel"), Delta(""), Delta("lo"), END)
    assert types(events) == [
        "message_start",
        "ping",
        "start",
        "delta",
        "delta",
        "stop",
        "message_delta",
        "message_stop",
    ]
    assert answer["content"] == [{"type": "text", "text": "Hello", "citations": None}]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)


def test_the_first_event_is_an_empty_answer_with_the_prompts_usage():
    start = tell(Begun(12, 8))[0][0]["message"]
    assert (start["content"], start["stop_reason"], start["role"], start["type"]) == ([], None, "assistant", "message")
    assert (start["usage"]["cache_read_input_tokens"], start["usage"]["output_tokens"]) == (8, 0)


def test_a_thought_is_signed_before_it_ends():
    events, answer = tell(Thought("hm"), Delta("Yes."), END)
    assert [event["delta"]["type"] for event in events if "delta" in event and "index" in event] == [
        "thinking_delta",
        "signature_delta",
        "text_delta",
    ]
    thinking, text = answer["content"]
    assert thinking["thinking"] == "hm"
    assert len(thinking["signature"]) == 44
    assert text["text"] == "Yes."


def test_a_thought_that_is_not_shown_is_only_signed():
    events, answer = tell(Thought("hm"), END, thoughts_shown=False)
    assert "hm" not in str(events)
    assert answer["content"][0]["thinking"] == ""
    assert answer["content"][0]["signature"]


def test_calls_come_one_after_the_other_and_end_the_turn():
    calls = [
        CallBegun(0, "call_1", "f"),
        CallArguments(0, '{"a":'),
        CallArguments(0, "1}"),
        CallBegun(1, "call_2", "g"),
    ]
    events, answer = tell(Delta("I look."), *calls, CallArguments(1, "{}"), Finish("tool_calls", 12, 8, 5))
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    direct = {"type": "direct"}
    assert starts[1] == {"type": "tool_use", "id": "call_1", "name": "f", "input": {}, "caller": direct}
    assert [event["index"] for event in events if event["type"] == "content_block_stop"] == [0, 1, 2]
    assert answer["content"][1:] == [starts[1] | {"input": {"a": 1}}, starts[2]]
    assert answer["stop_reason"] == "tool_use"


def test_a_call_that_was_cut_off_has_no_input():
    _, answer = tell(CallBegun(0, "call_1", "f"), CallArguments(0, '{"a":'), Finish("length", 12, 8, 9))
    assert answer["content"][0]["input"] == {}
    assert answer["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (END, "end_turn"),
        (Finish("length", 12, 8, 9), "max_tokens"),
        (Finish("length", 12, 8, 3), "model_context_window_exceeded"),
        (Finish("stop", 12, 8, 3, stopped_by="END"), "stop_sequence"),
    ],
)
def test_the_reason_for_the_end(finish, reason):
    events, answer = tell(finish)
    assert answer["stop_reason"] == events[0]["delta"]["stop_reason"] == reason
    assert answer["stop_sequence"] == finish.stopped_by


@pytest.mark.parametrize(
    ("cached", "stored", "parts"),
    [(8, True, (1, 3, 8)), (11, True, (1, 0, 11)), (0, True, (1, 11, 0)), (8, False, (4, 0, 8))],
)
def test_the_usage_adds_up_to_the_prompt(cached, stored, parts):
    _, answer = tell(Finish("stop", 12, cached, 2, reasoning_tokens=1), stored=stored)
    usage = answer["usage"]
    assert (usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]) == parts
    assert (usage["output_tokens"], usage["output_tokens_details"]["thinking_tokens"]) == (2, 1)
