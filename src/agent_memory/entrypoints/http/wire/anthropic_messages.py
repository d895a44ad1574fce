"""Anthropic's conversations, and how they become ours: blocks become messages, thoughts and calls.

Blocks of text are paragraphs where a person or a program wrote them; an answer's are put together as it was said.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.domain.chat import Message, ToolCall
from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.written import written


class CacheControl(Struct, kw_only=True):
    """Everything is kept, for as long as there is room; so nothing more is done for it, and for no shorter time."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class TextBlock(Struct, tag="text", tag_field="type", kw_only=True):
    text: str
    cache_control: CacheControl | None = None


class ThinkingBlock(Struct, tag="thinking", tag_field="type", kw_only=True):
    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Struct, tag="redacted_thinking", tag_field="type", kw_only=True):
    """Sealed for another server: there is nothing in it that a model could read."""

    data: str


class ToolUseBlock(Struct, tag="tool_use", tag_field="type", kw_only=True):
    id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]
    input: dict[str, Any]
    cache_control: CacheControl | None = None


class ToolResultBlock(Struct, tag="tool_result", tag_field="type", kw_only=True):
    tool_use_id: str
    content: str | list[TextBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock


class InputMessage(Struct, kw_only=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


def to_messages(system: str | Sequence[TextBlock] | None, given: Sequence[InputMessage]) -> tuple[Message, ...]:
    """Neighbours of one speaker become one message, as templates want them."""
    if given[-1].role == "assistant":
        raise InvalidInput("messages", "the last must be the user's: this server does not continue answers (prefill)")
    told = [] if not system else [Message("system", _paragraphs(system))]
    called: set[str] = set()
    for number, message in enumerate(given):
        for each in _spoken(f"messages[{number}]", message, called, first=number == 0):
            called |= {call.id for call in each.calls}
            if told and told[-1].role == each.role != "tool":
                told[-1] = _joined(told[-1], each)
            else:
                told.append(each)
    return tuple(told)


def _spoken(field: str, message: InputMessage, called: set[str], *, first: bool) -> Iterator[Message]:
    blocks = [TextBlock(text=message.content)] if isinstance(message.content, str) else message.content
    if not blocks:
        raise InvalidInput(f"{field}.content", "is empty")
    match message.role:
        case "assistant":
            yield _answer(field, blocks)
        case "user":
            yield from _question(field, blocks, called)
        case "system" if first:
            yield Message("system", _paragraphs(_texts(field, blocks, "system")))
        case "system":
            # Few templates take one later on: it is put as the agents that send it put it themselves.
            text = _paragraphs(_texts(field, blocks, "system"))
            yield Message("user", f"<system-reminder>\n{text}\n</system-reminder>")


def _answer(field: str, blocks: Sequence[Block]) -> Message:
    texts, thoughts, calls = [], [], []
    for number, block in enumerate(blocks):
        match block:
            case TextBlock(text=text):
                texts.append(text)
            case ThinkingBlock(thinking=thinking):
                thoughts.append(thinking)
            case ToolUseBlock(id=id_, name=name):
                calls.append(ToolCall(id_, name, written(f"{field}.content[{number}].input", block.input)))
            case ToolResultBlock():
                raise _misplaced(field, number, block, "assistant")
            case RedactedThinkingBlock():
                pass
    return Message("assistant", "".join(texts), "".join(thoughts), tuple(calls))


def _question(field: str, blocks: Sequence[Block], called: set[str]) -> Iterator[Message]:
    texts: list[TextBlock] = []
    for number, block in enumerate(blocks):
        match block:
            case TextBlock():
                texts.append(block)
            case ToolResultBlock(tool_use_id=id_) if id_ not in called:
                raise InvalidInput(f"{field}.content[{number}].tool_use_id", f"{id_!r}: no tool_use before has this id")
            case ToolResultBlock():
                if texts:
                    yield Message("user", _paragraphs(texts))
                    texts = []
                yield Message("tool", _result(block), call_id=block.tool_use_id)
            case _:
                raise _misplaced(field, number, block, "user")
    if texts:
        yield Message("user", _paragraphs(texts))


def _result(block: ToolResultBlock) -> str:
    text = _paragraphs(block.content or "")
    return f"Error: {text}" if block.is_error else text


def _texts(field: str, blocks: Sequence[Block], role: str) -> list[TextBlock]:
    for number, block in enumerate(blocks):
        if not isinstance(block, TextBlock):
            raise _misplaced(field, number, block, role)
    return [block for block in blocks if isinstance(block, TextBlock)]


def _misplaced(field: str, number: int, block: Block, role: str) -> InvalidInput:
    tag = block.__struct_config__.tag
    return InvalidInput(f"{field}.content[{number}].type", f"{tag} has no place in a message of the {role}")


def _paragraphs(given: str | Sequence[TextBlock]) -> str:
    return given if isinstance(given, str) else "\n\n".join(block.text for block in given)


def _joined(one: Message, other: Message) -> Message:
    if one.role == "assistant":
        thought = one.reasoning + other.reasoning
        return Message("assistant", one.content + other.content, thought, one.calls + other.calls)
    return Message(one.role, f"{one.content}\n\n{other.content}")
