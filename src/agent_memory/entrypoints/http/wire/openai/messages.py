"""OpenAI's messages, with what an assistant thought and called before. Text only: other parts are refused by name."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.domain.chat import Message, ToolCall
from agent_memory.domain.errors import InvalidInput

Role = Literal["system", "developer", "user", "assistant", "tool"]


class TextPart(Struct, tag="text", tag_field="type"):
    text: str


class RefusalPart(Struct, tag="refusal", tag_field="type"):
    refusal: str


class ImagePart(Struct, tag="image_url", tag_field="type"):
    """Known, and refused by name, as those below."""


class AudioPart(Struct, tag="input_audio", tag_field="type"):
    pass


class FilePart(Struct, tag="file", tag_field="type"):
    pass


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


class CalledFunction(Struct, kw_only=True):
    """`arguments` is JSON, as the model wrote it."""

    name: Annotated[str, Meta(min_length=1)]
    arguments: str = "{}"


class CallMade(Struct, kw_only=True):
    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class ChatMessage(Struct, kw_only=True):
    """`reasoning_content`, or `reasoning`, is what an assistant thought before its content; a
    `refusal` stands where the content would.
    """

    role: Role
    content: str | list[Part] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[CallMade] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    function_call: dict[str, Any] | None = None


def to_message(index: int, message: ChatMessage) -> Message:
    at = f"messages[{index}]"
    if message.function_call is not None:
        raise InvalidInput(f"{at}.function_call", "is not supported by this server; use tool_calls")
    if message.tool_calls and message.role != "assistant":
        raise InvalidInput(f"{at}.tool_calls", "only an assistant calls tools")
    if message.role == "tool" and message.tool_call_id is None:
        raise InvalidInput(f"{at}.tool_call_id", "is required: which call this answers")
    reasoning = message.reasoning_content or message.reasoning or ""
    content = message.refusal if message.content is None else message.content
    if content is None and not (message.tool_calls or reasoning):
        raise InvalidInput(f"{at}.content", "is required")
    return Message(
        "system" if message.role == "developer" else message.role,
        _text(at, content),
        reasoning,
        tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()),
        message.tool_call_id,
    )


def _text(at: str, content: str | list[Part] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for number, part in enumerate(content):
        match part:
            case TextPart(text) | RefusalPart(text):
                texts.append(text)
            case ImagePart() | AudioPart() | FilePart():
                kind = part.__struct_config__.tag
                raise InvalidInput(f"{at}.content[{number}]", f"is of type {kind}; this server reads text only")
    return "".join(texts)
