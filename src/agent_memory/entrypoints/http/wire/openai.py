"""OpenAI's chat dialect: its structs, and pure functions between them and a `Prompt`.

Fields we do not know are ignored, as its clients expect. Fields we know and cannot honour yet are refused by
name: nothing a caller asks for is dropped in silence.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_memory.application.conversation import Finish, Message, Prompt
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import DEFAULT_TENANT, AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.settings import ModelPlan

Role = Literal["system", "developer", "user", "assistant", "tool"]
StopText = Annotated[str, Meta(min_length=1)]


class TextPart(Struct, tag="text", tag_field="type"):
    text: str


class ChatMessage(Struct, kw_only=True):
    role: Role
    content: str | list[TextPart] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class StreamOptions(Struct, kw_only=True):
    include_usage: bool | None = None


class ChatRequest(Struct, kw_only=True):
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    model: str = "default"
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # known, and refused unless they ask for what is done anyway
    n: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    web_search_options: dict[str, Any] | None = None
    store: bool | None = None
    # who asks: the first of these that is given, after the header X-Agent-ID
    agent_id: str | None = None
    session_id: str | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    # ours
    x_cache: bool | None = None
    no_store: bool | None = None


_REFUSED: Mapping[str, Sequence[object]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "reasoning_effort": ("none",),
    "web_search_options": (),
    "store": (False,),
}
"""Known field -> the values that ask for nothing beyond what is done."""


class CachedDetails(Struct):
    cached_tokens: int


class Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedDetails


class Difference(Struct):
    """Of the prompt's tokens, and of `messages`, both counted from 0."""

    token: int
    message: int | None


class CacheReport(Struct):
    """Where the prompt's tokens came from, and where it first differs from all that is stored."""

    memory_tokens: int
    disk_tokens: int
    computed_tokens: int
    known_tokens: int
    first_difference: Difference | None


class AnswerMessage(Struct):
    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


class Choice(Struct):
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    index: int = 0
    logprobs: None = None


class ChatCompletion(Struct, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    x_cache: CacheReport | UnsetType = UNSET
    object: Literal["chat.completion"] = "chat.completion"


class DeltaMessage(Struct, omit_defaults=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChunkChoice(Struct):
    delta: DeltaMessage
    finish_reason: Literal["stop", "length"] | None = None
    index: int = 0
    logprobs: None = None


class Chunk(Struct, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    x_cache: CacheReport | UnsetType = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class ErrorBody(Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Struct):
    error: ErrorBody


class Model(Struct, kw_only=True):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "agent-memory"


class ModelList(Struct, kw_only=True):
    data: list[Model]
    object: Literal["list"] = "list"


_AGENT_FIELDS = ("agent_id", "session_id", "prompt_cache_key", "user")


def to_prompt(
    request: ChatRequest, plan: ModelPlan, seconds: float | None = None, agent: AgentName | None = None
) -> Prompt:
    """What the request leaves open, the model's plan decides; how long the answer may be, the conversation."""
    _refuse_what_we_cannot(request)
    sampling = Sampling(
        temperature=_given(request.temperature, plan.temperature),
        top_p=_given(request.top_p, plan.top_p),
        seed=request.seed,
    )
    return Prompt(
        messages=tuple(_message(i, each) for i, each in enumerate(request.messages)),
        sampling=sampling,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seconds=seconds,
        explain=request.x_cache is True,
        agent=agent or _agent_of(request),
        stored=request.no_store is not True,
    )


def _agent_of(request: ChatRequest) -> AgentName | None:
    named = ((field, getattr(request, field)) for field in _AGENT_FIELDS)
    field, name = next(((field, name) for field, name in named if name), ("", ""))
    return AgentName.of(DEFAULT_TENANT, name, field) if name else None


def usage_of(finish: Finish) -> Usage:
    total = finish.prompt_tokens + finish.completion_tokens
    return Usage(finish.prompt_tokens, finish.completion_tokens, total, CachedDetails(finish.cached_tokens))


def report_of(finish: Finish) -> CacheReport | UnsetType:
    reuse = finish.reuse
    if reuse is None:
        return UNSET
    token = reuse.different_token
    return CacheReport(
        reuse.memory_tokens,
        reuse.disk_tokens,
        finish.prompt_tokens - finish.cached_tokens,
        reuse.known_tokens,
        None if token is None else Difference(token, reuse.different_message),
    )


def _message(index: int, message: ChatMessage) -> Message:
    field = f"messages[{index}]"
    if message.tool_calls:
        raise InvalidInput(f"{field}.tool_calls", "tool calls are not supported by this server yet")
    if message.content is None:
        raise InvalidInput(f"{field}.content", "is required")
    parts = [message.content] if isinstance(message.content, str) else [part.text for part in message.content]
    return Message("system" if message.role == "developer" else message.role, "".join(parts))


def _refuse_what_we_cannot(request: ChatRequest) -> None:
    for name, harmless in _REFUSED.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            raise InvalidInput(name, "is not supported by this server yet; leave it out")


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
