"""OpenAI's chat request, and the `Prompt` that it is.

Fields we do not know are ignored, as its clients expect. Fields we know and cannot honour are refused by name: nothing
a caller asks for is dropped in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.application.conversation import Prompt
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.entrypoints.http.wire.openai.formats import ResponseFormat, to_grammar
from agent_memory.entrypoints.http.wire.openai.messages import ChatMessage, to_message
from agent_memory.entrypoints.http.wire.openai.tools import FunctionTool, ToolChoice, to_use
from agent_memory.settings import ModelPlan

MAX_CHOICES = 16
_LONGEST_ID = 10  # digits, more than any vocabulary has

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
StopText = Annotated[str, Meta(min_length=1)]


class StreamOptions(Struct, kw_only=True):
    include_usage: bool | None = None


class ChatRequest(Struct, kw_only=True):
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    model: str = "default"
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    response_format: ResponseFormat | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Effort | None = None
    # beyond OpenAI's own, as other servers have them
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    # known, and refused unless they ask for what is done anyway
    verbosity: str | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
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
    "verbosity": ("medium",),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
    "store": (False,),
}
"""Known field -> the values that ask for nothing beyond what is done."""

_INSTEAD = {"functions": "use tools", "function_call": "use tool_choice"}


_AGENT_FIELDS = ("agent_id", "session_id", "prompt_cache_key", "user")


def to_prompt(
    request: ChatRequest,
    plan: ModelPlan,
    seconds: float | None = None,
    agent: AgentName | None = None,
) -> Prompt:
    """What the request leaves open, the model's plan decides; how long the answer may be, the conversation."""
    _refuse_what_we_cannot(request)
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidInput("top_logprobs", "needs logprobs to be true")
    sampling = Sampling(
        temperature=_given(request.temperature, plan.temperature),
        top_p=_given(request.top_p, plan.top_p),
        seed=request.seed,
        top_k=max(0, request.top_k or 0),
        min_p=_given(request.min_p, 0.0),
        repetition_penalty=_given(request.repetition_penalty, 1.0),
        frequency_penalty=_given(request.frequency_penalty, 0.0),
        presence_penalty=_given(request.presence_penalty, 0.0),
        logit_bias=biases(request.logit_bias or {}),
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )
    return Prompt(
        messages=tuple(to_message(i, each) for i, each in enumerate(request.messages)),
        sampling=sampling,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seconds=seconds,
        explain=request.x_cache is True,
        agent=agent or _agent_of(request),
        stored=request.no_store is not True,
        grammar=to_grammar(request.response_format),
        use=to_use(request.tools, request.tool_choice, parallel=request.parallel_tool_calls is not False),
        thinking=_thinking(request),
    )


def _thinking(request: ChatRequest) -> bool:
    wanted = request.chat_template_kwargs or {}
    for name in wanted:
        if name != "enable_thinking":
            raise InvalidInput(f"chat_template_kwargs.{name}", "is not supported; only enable_thinking is")
    return request.reasoning_effort != "none" and wanted.get("enable_thinking") is not False


def _agent_of(request: ChatRequest) -> AgentName | None:
    named = ((field, getattr(request, field)) for field in _AGENT_FIELDS)
    field, name = next(((field, name) for field, name in named if name), ("", ""))
    return AgentName.of(DEFAULT_TENANT, name, field) if name else None


def choices_of(prompt: Prompt, count: int) -> list[Prompt]:
    """So many prompts like this one; a seed is counted on, lest all of them answer the same."""
    seed = prompt.sampling.seed
    if seed is None or count == 1:
        return [prompt] * count
    return [replace(prompt, sampling=replace(prompt.sampling, seed=seed + number)) for number in range(count)]


def biases(given: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    for token in given:
        if not (token.isascii() and token.isdigit() and len(token) <= _LONGEST_ID):
            raise InvalidInput("logit_bias", f"{token[:40]!r} is not a token id")
    return tuple((int(token), bias) for token, bias in given.items())


def _refuse_what_we_cannot(request: ChatRequest) -> None:
    for name, harmless in _REFUSED.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            instead = _INSTEAD.get(name, "leave it out")
            raise InvalidInput(name, f"is not supported by this server; {instead}")


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
