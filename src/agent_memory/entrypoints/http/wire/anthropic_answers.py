"""What is answered in Anthropic's messages dialect: structs, and how the pieces of a reply become blocks and events.

A whole answer is what its events add up to, so that streamed and not streamed are one.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, json

from agent_memory.application.replies import Begun, CallArguments, CallBegun, Delta, Finish, Piece, Thought
from agent_memory.entrypoints.http.wire.openai import CacheReport, report_of

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class ErrorBody(Struct):
    type: str
    message: str


class ErrorAnswer(Struct):
    error: ErrorBody
    request_id: str
    type: Literal["error"] = "error"


class Unnoticed(Struct):
    """Nothing is said to what was not heard."""


class TokenCount(Struct):
    input_tokens: int


class Text(Struct, tag="text", tag_field="type"):
    text: str = ""
    citations: None = None


class Thinking(Struct, tag="thinking", tag_field="type"):
    """`signature` is a digest of the whole thought: no secret, and never asked for."""

    thinking: str = ""
    signature: str = ""


class Caller(Struct, frozen=True):
    type: Literal["direct"] = "direct"


class ToolUse(Struct, tag="tool_use", tag_field="type"):
    id: str
    name: str
    input: dict[str, Any]
    caller: Caller = Caller()


AnswerBlock = Text | Thinking | ToolUse


class OutputDetails(Struct):
    thinking_tokens: int


class Usage(Struct, kw_only=True):
    """Read from the cache, read now and kept, and read now and not kept: together they are the prompt. What is kept has
    no time to live, by which it could be broken down.
    """

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails
    cache_creation: None = None
    server_tool_use: None = None
    inference_geo: None = None
    service_tier: Literal["standard"] = "standard"


class MessageAnswer(Struct, kw_only=True):
    id: str
    model: str
    usage: Usage
    content: list[AnswerBlock] = msgspec.field(default_factory=list)
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    stop_details: None = None
    container: None = None
    x_cache: CacheReport | UnsetType = UNSET
    role: Literal["assistant"] = "assistant"
    type: Literal["message"] = "message"


class TextDelta(Struct, tag="text_delta", tag_field="type"):
    text: str


class ThinkingDelta(Struct, tag="thinking_delta", tag_field="type"):
    thinking: str


class SignatureDelta(Struct, tag="signature_delta", tag_field="type"):
    signature: str


class InputDelta(Struct, tag="input_json_delta", tag_field="type"):
    partial_json: str


class MessageStart(Struct, tag="message_start", tag_field="type"):
    message: MessageAnswer


class Ping(Struct, tag="ping", tag_field="type"):
    pass


class BlockStart(Struct, tag="content_block_start", tag_field="type"):
    index: int
    content_block: AnswerBlock


class BlockDelta(Struct, tag="content_block_delta", tag_field="type"):
    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(Struct, tag="content_block_stop", tag_field="type"):
    index: int


class MessageEnd(Struct, kw_only=True):
    stop_reason: StopReason
    stop_sequence: str | None
    stop_details: None = None
    container: None = None


class MessageDelta(Struct, tag="message_delta", tag_field="type", kw_only=True):
    delta: MessageEnd
    usage: Usage
    x_cache: CacheReport | UnsetType = UNSET


class MessageStop(Struct, tag="message_stop", tag_field="type"):
    pass


Event = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop


def name_of(event: Event) -> str:
    return str(event.__struct_config__.tag)


@dataclass(slots=True)
class Telling:
    """One answer on its way: `answer` is what has been told of it so far."""

    id: str
    model: str
    max_tokens: int
    stored: bool = True
    thoughts_shown: bool = True
    answer: MessageAnswer = field(init=False)
    _open: AnswerBlock | None = None
    _said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answer = MessageAnswer(id=self.id, model=self.model, usage=self._usage(0, 0))

    def hear(self, piece: Piece) -> Iterator[Event]:
        match piece:
            case Begun(prompt, cached):
                self.answer.usage = self._usage(prompt, cached)
                yield MessageStart(msgspec.structs.replace(self.answer, content=[]))
                yield Ping()
            case Thought(text):
                told = (ThinkingDelta(text),) if self.thoughts_shown else ()
                yield from self._say(text, Thinking(), *told)
            case Delta(text):
                yield from self._say(text, Text(), TextDelta(text))
            case CallBegun(_, id_, name):
                yield from self._begin(ToolUse(id_, name, {}))
            case CallArguments(_, text):
                self._said.append(text)
                yield self._delta(InputDelta(text))
            case Finish():
                yield from self._close()
                yield from self._end(piece)

    def _say(self, text: str, block: Text | Thinking, *deltas: TextDelta | ThinkingDelta) -> Iterator[Event]:
        """In the block that is open, if it is of this kind."""
        if not text:
            return
        if type(self._open) is not type(block):
            yield from self._begin(block)
        self._said.append(text)
        yield from map(self._delta, deltas)

    def _begin(self, block: AnswerBlock) -> Iterator[Event]:
        yield from self._close()
        self._open = block
        self.answer.content.append(block)
        yield BlockStart(self._last, msgspec.structs.replace(block))

    def _close(self) -> Iterator[Event]:
        if self._open is None:
            return
        said = "".join(self._said)
        match self._open:
            case Text() as block:
                block.text = said
            case Thinking() as block:
                block.thinking = said if self.thoughts_shown else ""
                block.signature = b64encode(sha256(said.encode()).digest()).decode()
                yield self._delta(SignatureDelta(block.signature))
            case ToolUse() as block:
                block.input = _arguments(said)
        yield BlockStop(self._last)
        self._open = None
        self._said.clear()

    def _end(self, finish: Finish) -> Iterator[Event]:
        told = self.answer
        told.usage = self._usage(finish.prompt_tokens, finish.cached_tokens, finish)
        told.stop_reason, told.stop_sequence = self._reason(finish), finish.stopped_by
        told.x_cache = report_of(finish)
        end = MessageEnd(stop_reason=told.stop_reason, stop_sequence=told.stop_sequence)
        yield MessageDelta(delta=end, usage=told.usage, x_cache=told.x_cache)
        yield MessageStop()

    def _reason(self, finish: Finish) -> StopReason:
        match finish.reason:
            case "tool_calls":
                return "tool_use"
            case "length" if finish.completion_tokens < self.max_tokens:
                return "model_context_window_exceeded"
            case "length":
                return "max_tokens"
            case "stop":
                return "end_turn" if finish.stopped_by is None else "stop_sequence"

    def _usage(self, prompt: int, cached: int, finish: Finish | None = None) -> Usage:
        # The last token of a prompt is read each time, to hear the answer.
        created = max(prompt - 1 - cached, 0) if self.stored else 0
        return Usage(
            input_tokens=prompt - cached - created,
            cache_creation_input_tokens=created,
            cache_read_input_tokens=cached,
            output_tokens=finish.completion_tokens if finish else 0,
            output_tokens_details=OutputDetails(finish.reasoning_tokens if finish else 0),
        )

    def _delta(self, delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta) -> BlockDelta:
        return BlockDelta(self._last, delta)

    @property
    def _last(self) -> int:
        return len(self.answer.content) - 1


def _arguments(text: str) -> dict[str, Any]:
    """Those of a call that was cut off by max_tokens are not there."""
    try:
        return json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
