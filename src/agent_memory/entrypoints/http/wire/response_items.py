"""The items of OpenAI's responses, and how they become a conversation.

An answer is several of them there (what was thought, what was said, each call) and one message here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agent_memory.domain.chat import Message, ToolCall
from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.decoding import invalid

Item = dict[str, Any]


class InputText(Struct, tag="input_text", tag_field="type"):
    text: str


class OutputText(Struct, tag="output_text", tag_field="type"):
    text: str


class Refusal(Struct, tag="refusal", tag_field="type"):
    refusal: str


class MessageItem(Struct, kw_only=True):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | OutputText | Refusal]


class CallItem(Struct, kw_only=True):
    call_id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]
    arguments: str


class CallOutputItem(Struct, kw_only=True):
    call_id: Annotated[str, Meta(min_length=1)]
    output: str | list[InputText]


class Said(Struct):
    text: str


class ReasoningItem(Struct, kw_only=True):
    """One that is sealed for another server holds nothing that a model could read."""

    summary: list[Said] = []
    content: list[Said] | None = None


_KINDS: dict[str, type[Struct]] = {
    "message": MessageItem,
    "function_call": CallItem,
    "function_call_output": CallOutputItem,
    "reasoning": ReasoningItem,
}


def to_messages(instructions: str | None, items: Sequence[tuple[str, Item]]) -> tuple[Message, ...]:
    """Each item comes with the field that it is to be called by. Neighbours of one speaker become one message."""
    told = [Message("system", instructions)] if instructions else []
    called: set[str] = set()
    for field, item in items:
        said = _spoken(field, _checked(field, item), called)
        if told and told[-1].role == said.role and said.role in ("system", "assistant"):
            told[-1] = _joined(told[-1], said)
        else:
            told.append(said)
    return tuple(told)


def _checked(field: str, item: Item) -> Struct:
    kind = item.get("type", "message")
    if kind not in _KINDS:
        raise InvalidInput(f"{field}.type", f"{kind!r} is not known to this server; allowed: {', '.join(_KINDS)}")
    try:
        return msgspec.convert(item, _KINDS[kind])
    except msgspec.ValidationError as error:
        wrong = invalid(str(error), _KINDS[kind])
        raise InvalidInput(field if wrong.field == "body" else f"{field}.{wrong.field}", wrong.reason) from None


def _spoken(field: str, item: Struct, called: set[str]) -> Message:
    match item:
        case MessageItem(role="assistant", content=content):
            return Message("assistant", _text(content))
        case MessageItem(role=role, content=content):
            return Message("system" if role == "developer" else role, _text(content))
        case CallItem(call_id=call_id, name=name, arguments=arguments):
            called.add(call_id)
            return Message("assistant", "", calls=(ToolCall(call_id, name, arguments),))
        case CallOutputItem(call_id=call_id) if call_id not in called:
            raise InvalidInput(f"{field}.call_id", f"{call_id!r}: no function_call before has this id")
        case CallOutputItem(call_id=call_id, output=output):
            return Message("tool", _text(output), call_id=call_id)
        case ReasoningItem(summary=summary, content=content):
            return Message("assistant", "", reasoning="".join(each.text for each in content or summary))
        case _:
            raise AssertionError(item)


def _text(content: str | Sequence[InputText | OutputText | Refusal]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.refusal if isinstance(part, Refusal) else part.text for part in content)


def _joined(one: Message, other: Message) -> Message:
    if one.role == "system":
        return Message("system", f"{one.content}\n\n{other.content}")
    thought = one.reasoning + other.reasoning
    return Message("assistant", one.content + other.content, thought, one.calls + other.calls)


def named(items: Sequence[Item], name: str) -> Iterator[tuple[str, Item]]:
    """Input -> input[0], input[1] …"""
    return ((f"{name}[{number}]", item) for number, item in enumerate(items))


def known(items: Sequence[tuple[str, Item]]) -> list[Item]:
    """What is read of them, as items: whatever else a client sends along is not worth keeping."""
    return [{"type": item.get("type", "message")} | msgspec.to_builtins(_checked(field, item)) for field, item in items]


RESPONSE_ID = re.compile("resp_[0-9a-f]{32}")
