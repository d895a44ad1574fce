"""What is answered in OpenAI's responses dialect: how the pieces of a reply become items and events.

A whole response is what its events add up to, so that streamed and not streamed are one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import time
from typing import Any, Literal
from uuid import uuid4

import msgspec
from msgspec import Struct, json

from agent_memory.application.replies import CallArguments, CallBegun, Delta, Finish, Piece, Thought
from agent_memory.entrypoints.http.wire.responses import ResponsesRequest

Status = Literal["in_progress", "completed", "incomplete", "failed"]
Event = dict[str, Any]


class TextPart(Struct, tag="output_text", tag_field="type"):
    text: str = ""
    annotations: list[Any] = msgspec.field(default_factory=list)
    logprobs: list[Any] = msgspec.field(default_factory=list)


class ReasoningPart(Struct, tag="reasoning_text", tag_field="type"):
    text: str = ""


class MessageItem(Struct, tag="message", tag_field="type", kw_only=True):
    id: str
    content: list[TextPart] = msgspec.field(default_factory=list)
    status: Status = "in_progress"
    role: Literal["assistant"] = "assistant"


class CallItem(Struct, tag="function_call", tag_field="type", kw_only=True):
    id: str
    call_id: str
    name: str
    arguments: str = ""
    status: Status = "in_progress"


class ReasoningItem(Struct, tag="reasoning", tag_field="type", kw_only=True):
    id: str
    content: list[ReasoningPart] = msgspec.field(default_factory=list)
    summary: list[Any] = msgspec.field(default_factory=list)
    status: Status = "in_progress"


OutputItem = MessageItem | CallItem | ReasoningItem


class InputDetails(Struct):
    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(Struct):
    reasoning_tokens: int


class Usage(Struct, kw_only=True):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class Incomplete(Struct):
    reason: Literal["max_output_tokens"]


class Failure(Struct):
    code: str
    message: str


class Response(Struct, kw_only=True):
    """What was asked is told again, but for `input`."""

    id: str
    created_at: int
    model: str
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    prompt_cache_key: str | None
    safety_identifier: str | None
    parallel_tool_calls: bool
    previous_response_id: str | None
    reasoning: dict[str, Any]
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: Any
    tools: list[Any]
    top_p: float
    user: str | None
    output: list[OutputItem] = msgspec.field(default_factory=list)
    status: Status = "in_progress"
    completed_at: int | None = None
    error: Failure | None = None
    incomplete_details: Incomplete | None = None
    usage: Usage | None = None
    background: bool = False
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    max_tool_calls: int | None = None
    service_tier: Literal["default"] = "default"
    top_logprobs: int = 0
    truncation: Literal["disabled"] = "disabled"
    object: Literal["response"] = "response"


class Deleted(Struct, kw_only=True):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


def begun(request: ResponsesRequest, model: str, temperature: float, top_p: float) -> Response:
    return Response(
        id=f"resp_{uuid4().hex}",
        created_at=int(time()),
        model=model,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        metadata=request.metadata or {},
        prompt_cache_key=request.prompt_cache_key,
        safety_identifier=request.safety_identifier,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        reasoning={"effort": request.reasoning.effort if request.reasoning else None, "summary": None},
        store=request.store is not False,
        temperature=temperature,
        text=msgspec.to_builtins(request.text)
        if request.text and request.text.format
        else {"format": {"type": "text"}},
        tool_choice=msgspec.to_builtins(request.tool_choice) if request.tool_choice else "auto",
        tools=[{"strict": None} | msgspec.to_builtins(tool) for tool in request.tools or ()],
        top_p=top_p,
        user=request.user,
    )


@dataclass(slots=True)
class Telling:
    """One response on its way: `response` is what has been told of it so far."""

    response: Response
    stored: bool = True
    _open: OutputItem | None = None
    _said: list[str] = field(default_factory=list)
    _told: int = 0

    def open(self) -> Iterator[Event]:
        yield self._event("response.created", response=self.response)
        yield self._event("response.in_progress", response=self.response)

    def hear(self, piece: Piece) -> Iterator[Event]:
        """All but the last event, which `end` tells."""
        match piece:
            case Thought(text) if text:
                if not isinstance(self._open, ReasoningItem):
                    yield from self._begin(ReasoningItem(id=f"rs_{uuid4().hex}"))
                yield self._say("response.reasoning_text.delta", text, content_index=0)
            case Delta(text) if text:
                if not isinstance(self._open, MessageItem):
                    yield from self._begin(MessageItem(id=f"msg_{uuid4().hex}"))
                yield self._say("response.output_text.delta", text, content_index=0, logprobs=[])
            case CallBegun(_, id_, name):
                yield from self._begin(CallItem(id=f"fc_{uuid4().hex}", call_id=id_, name=name))
            case CallArguments(_, text):
                yield self._say("response.function_call_arguments.delta", text)
            case Finish():
                yield from self._close("incomplete" if piece.reason == "length" else "completed")
                self._finish(piece)
            case _:
                pass

    def end(self) -> Event:
        return self._event(f"response.{self.response.status}", response=self.response)

    def fail(self, code: str, message: str) -> Iterator[Event]:
        """What was said until then is part of the response, as an item that is incomplete."""
        yield from self._close("incomplete")
        self.response.status, self.response.error = "failed", Failure(code, message)
        yield self.end()

    def _begin(self, item: OutputItem) -> Iterator[Event]:
        yield from self._close("completed")
        self._open = item
        self.response.output.append(item)
        yield self._event("response.output_item.added", output_index=self._last, item=item)
        part = _empty_part(item)
        if part is not None:
            yield self._event("response.content_part.added", **self._place, content_index=0, part=part)

    def _close(self, status: Status) -> Iterator[Event]:
        item, text = self._open, "".join(self._said)
        match item:
            case None:
                return
            case MessageItem():
                item.content = [TextPart(text)]
                yield self._event("response.output_text.done", **self._place, content_index=0, text=text, logprobs=[])
                yield self._event("response.content_part.done", **self._place, content_index=0, part=item.content[0])
            case ReasoningItem():
                item.content = [ReasoningPart(text)]
                yield self._event("response.reasoning_text.done", **self._place, content_index=0, text=text)
                yield self._event("response.content_part.done", **self._place, content_index=0, part=item.content[0])
            case CallItem(name=name):
                item.arguments = text
                yield self._event("response.function_call_arguments.done", **self._place, arguments=text, name=name)
        item.status = status
        yield self._event("response.output_item.done", output_index=self._last, item=item)
        self._open = None
        self._said.clear()

    def _finish(self, finish: Finish) -> None:
        told = self.response
        told.status, told.completed_at = "completed", int(time())
        if finish.reason == "length":
            told.status, told.incomplete_details = "incomplete", Incomplete("max_output_tokens")
        # The last token of a prompt is read each time, to hear the answer.
        written = max(finish.prompt_tokens - 1 - finish.cached_tokens, 0) if self.stored else 0
        told.usage = Usage(
            input_tokens=finish.prompt_tokens,
            input_tokens_details=InputDetails(finish.cached_tokens, written),
            output_tokens=finish.completion_tokens,
            output_tokens_details=OutputDetails(finish.reasoning_tokens),
            total_tokens=finish.prompt_tokens + finish.completion_tokens,
        )

    def _say(self, kind: str, text: str, **more: object) -> Event:
        self._said.append(text)
        return self._event(kind, **self._place, delta=text, **more)

    def _event(self, kind: str, **fields: object) -> Event:
        """As it is now: what it tells of goes on changing."""
        told = {"type": kind, "sequence_number": self._told, **msgspec.to_builtins(fields)}
        self._told += 1
        return told

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._open.id if self._open else "", "output_index": self._last}

    @property
    def _last(self) -> int:
        return len(self.response.output) - 1


def _empty_part(item: OutputItem) -> TextPart | ReasoningPart | None:
    match item:
        case MessageItem():
            return TextPart()
        case ReasoningItem():
            return ReasoningPart()
        case CallItem():
            return None


def written(response: Response) -> str:
    return json.encode(response).decode()
