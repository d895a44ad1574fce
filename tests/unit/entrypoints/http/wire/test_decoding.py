"""A body is decoded strictly, and whatever is wrong with it is said in one line."""

import pytest
from litestar.exceptions import ClientException

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.decoding import decode
from agent_memory.entrypoints.http.wire.memories import RememberRequest
from agent_memory.entrypoints.http.wire.openai import ChatRequest


def chat(inside):
    return f'{{"messages": [{{"role": "user", "content": "hi"}}], {inside}}}'.encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b'{"messages": [{"role": "wizard"}]}',
            "messages[0].role: invalid enum value 'wizard'; allowed: assistant, developer, system, ",
        ),
        (b'{"messages": [{"role": 5}]}', "messages[0].role: expected str, got int"),
        (b'{"messages": [{"content": "hi"}]}', "messages[0].role: is required"),
        (b'{"messages": []}', "messages: expected array of length >= 1"),
        (b"[]", "body: expected object, got array"),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "video"}]}]}',
            "messages[0].content[0].type: invalid value 'video'; allowed: text, refusal, image_url, input_audio, file",
        ),
        (chat('"temperature": 2.5'), "temperature: expected float <= 2.0"),
        (chat('"temperature": 1e999'), "temperature: number out of range"),
        (chat('"temperature": "1"'), "temperature: expected float | null, got str"),
        (chat('"seed": 123456789012345678901234567890'), "seed: expected int <= 9223372036854775807"),
        (chat('"max_tokens": 0'), "max_tokens: expected int >= 1"),
        (chat('"stop": ["a", "b", "c", "d", "e"]'), "stop: expected array of length <= 4"),
        (chat('"stop": ""'), "stop: expected str of length >= 1"),
    ],
)
def test_a_wrong_value_is_named(body, told):
    with pytest.raises(InvalidInput) as caught:
        decode(body, ChatRequest)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ('"memory_type": "vague"', "memory_type: invalid enum value 'vague'; allowed: episodic, procedural, semantic"),
        ('"memory_tpye": "semantic"', "memory_tpye: unknown field"),
        ('"importance": 2.1', "importance: expected float <= 2.0"),
        ('"metadata": {"b": 1e999}', "metadata.b: must be a number, is inf"),
        ('"metadata": {"b": {"c": [1, -1e999]}}', "metadata.b.c[1]: must be a number, is -inf"),
    ],
)
def test_our_own_routes_know_every_field(inside, told):
    body = f'{{"agent_id": "a", "user_id": "u", "content": "c", {inside}}}'.encode()
    with pytest.raises(InvalidInput) as caught:
        decode(body, RememberRequest)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000 + b"!",
    ],
)
def test_what_is_not_json_is_called_so(body):
    with pytest.raises((ClientException, InvalidInput), match=r"the body is|body: "):
        decode(body, ChatRequest)


def test_what_is_malformed_is_said_once():
    with pytest.raises(ClientException) as caught:
        decode(b"nonsense", ChatRequest)
    assert caught.value.detail.startswith("the body is not valid JSON: invalid character")


@pytest.mark.parametrize(
    ("name", "told"),
    [(b"\xe9", "a name with bytes that are not valid UTF-8"), (b"\\ud800", "a name with a lone surrogate")],
)
def test_a_name_that_is_no_text_is_called_what_it_is(name, told):
    with pytest.raises(InvalidInput) as caught:
        decode(b'{"metadata": {"' + name + b'": 1}}', RememberRequest)
    assert str(caught.value) == f"metadata.?: has {told}"


def test_a_mark_before_the_text_is_no_part_of_it():
    decode(b'\xef\xbb\xbf{"messages": [{"role": "user", "content": "hi"}]}', ChatRequest)
    with pytest.raises(InvalidInput, match="model: has a lone surrogate"):
        decode(b'\xef\xbb\xbf{"model": "\\ud800"}', ChatRequest)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"messages": NaN}', "messages: must be a number, is nan"),
        (b'{"model": "\\ud800"}', "model: has a lone surrogate at position 0"),
        (b'{"model": "\xed\xa0\x80"}', "model: has bytes that are not valid UTF-8 at position 0"),
        ('{"model": "é"}'.encode("latin-1"), "model: has bytes that are not valid UTF-8 at position 0"),
        (b'{"x": [1, {"a": -Infinity}]}', "x[1].a: must be a number, is -inf"),
        (b'{"\\ud800": 1}', "?: has a name with a lone surrogate"),
        (b'{"a": "]", "messages" : [{"b": [' + b'{"c":' * 5000, "messages: is nested more than 64 levels deep"),
    ],
)
def test_what_is_almost_json_is_named_by_its_field(body, told):
    with pytest.raises(InvalidInput) as caught:
        decode(body, ChatRequest)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "' + b'\\"' * 2_000_000,
        b'{"a": "' + b"\\" * 4_000_001,
        b'{"a": ' + b'"' * 4_000_000,
        b'{"a": ' + b"[1," * 1_000_000,
        b"{" * 990 + b'"a": NaN' + b"}" * 990,
        b'{"a": ' + b"[" * 600 + b"NaN" + b"]" * 600 + b"}",
    ],
    ids=["escapes", "backslashes", "quotes", "open", "braces", "deep"],
)
def test_what_was_made_to_take_long_does_not(body):
    """With a step back for each byte, any of these would take hours."""
    with pytest.raises((ClientException, InvalidInput)):
        decode(body, RememberRequest)
