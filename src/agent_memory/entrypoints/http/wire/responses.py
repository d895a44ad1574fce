"""What is asked in OpenAI's responses dialect, and how it becomes a `Prompt`.

Fields we do not know are ignored. Fields we know and cannot honour are refused by name.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, json

from agent_memory.application.conversation import Grammar, Prompt
from agent_memory.domain.chat import Tool, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.domain.responses import MOST_BEFORE, MOST_BYTES, KeptResponse
from agent_memory.entrypoints.http.wire.response_items import Item, known, named, to_messages
from agent_memory.entrypoints.http.wire.written import written
from agent_memory.settings import ModelPlan

Name = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")]


class TextFormat(Struct, tag="text", tag_field="type"):
    pass


class JsonFormat(Struct, tag="json_object", tag_field="type"):
    pass


class SchemaFormat(Struct, tag="json_schema", tag_field="type", kw_only=True):
    """`strict` or not, the answer keeps to the schema."""

    name: Name
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextConfig(Struct, kw_only=True):
    format: TextFormat | JsonFormat | SchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class FunctionTool(Struct, kw_only=True):
    type: str
    name: Name | None = None
    parameters: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class NamedChoice(Struct, kw_only=True):
    type: str
    name: str | None = None


class Reasoning(Struct, kw_only=True):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class StreamOptions(Struct, kw_only=True):
    """Obfuscation hides the lengths of pieces on the wire from who listens; there is none here."""

    include_obfuscation: bool | None = None


class ResponsesRequest(Struct, kw_only=True):
    input: str | Annotated[list[Item], Meta(min_length=1)]
    model: str = "default"
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    reasoning: Reasoning | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: TextConfig | None = None
    tool_choice: str | NamedChoice | None = None
    tools: list[FunctionTool] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    include: list[str] | None = None
    # known, and refused unless they ask for what is done anyway
    background: bool | None = None
    context_management: list[Any] | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    top_logprobs: int | None = None
    truncation: str | None = None
    service_tier: str | None = None
    # who asks: the first of these that is given, after the header X-Agent-ID
    agent_id: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    # ours
    no_store: bool | None = None


_REFUSED: Mapping[str, Sequence[object]] = {
    "background": (False,),
    "context_management": ([],),
    "conversation": (),
    "prompt": (),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
    "service_tier": ("auto", "default"),
}
"""Known field -> the values that ask for nothing beyond what is done."""

_INCLUDED = ("reasoning.encrypted_content",)  # thoughts are told in the open, which is no less
_AGENT_FIELDS = ("agent_id", "prompt_cache_key", "safety_identifier", "user")


class _Told(Struct):
    """What of a kept response the next request goes on from."""

    output: list[Item]


def asked_by(request: ResponsesRequest) -> str:
    """The items that are new in it, as they are kept."""
    return json.encode(known(list(named(_items(request), "input")))).decode()


def _items(request: ResponsesRequest) -> list[Item]:
    if isinstance(request.input, str):
        return [{"type": "message", "role": "user", "content": request.input}]
    return request.input


def to_prompt(
    request: ResponsesRequest,
    before: Sequence[KeptResponse],
    plan: ModelPlan,
    tenant: str,
    *,
    seconds: float | None = None,
    agent: AgentName | None = None,
) -> Prompt:
    """After what was asked and told `before`; what the request leaves open, the model's plan decides."""
    _refuse_what_we_cannot(request)
    earlier = [
        item for each in before for item in (*json.decode(each.asked), *json.decode(each.told, type=_Told).output)
    ]
    items = [*named(earlier, "previous_response_id"), *named(_items(request), "input")]
    return Prompt(
        messages=to_messages(request.instructions, items),
        sampling=Sampling(
            temperature=plan.temperature if request.temperature is None else request.temperature,
            top_p=plan.top_p if request.top_p is None else request.top_p,
        ),
        max_tokens=request.max_output_tokens,
        tenant=tenant,
        seconds=seconds,
        agent=agent or _agent_of(request, tenant),
        stored=request.no_store is not True,
        grammar=_grammar(request.text),
        use=_use(request),
        thinking=request.reasoning is None or request.reasoning.effort != "none",
        at_most=request.max_output_tokens is not None,
    )


def check_lineage(request: ResponsesRequest, before: Sequence[KeptResponse]) -> None:
    """Raises InvalidInput where what the request goes on from is not all there, or more than a request may have."""
    name = request.previous_response_id
    if name is not None and not before:
        raise InvalidInput("previous_response_id", f"no response {name!r} is kept")
    if len(before) > MOST_BEFORE or sum(each.size for each in before) > MOST_BYTES:
        limits = f"{MOST_BEFORE} responses or {MOST_BYTES} bytes"
        told = f"the conversation of {name!r} has more than {limits}: begin another with its items as input"
        raise InvalidInput("previous_response_id", told)
    if before and before[0].previous is not None:
        raise InvalidInput("previous_response_id", f"an earlier response of the conversation of {name!r} was deleted")


def _agent_of(request: ResponsesRequest, tenant: str) -> AgentName | None:
    given = ((field, getattr(request, field)) for field in _AGENT_FIELDS)
    field, name = next(((field, name) for field, name in given if name), ("", ""))
    return AgentName.of(tenant, name, field) if name else None


def _grammar(text: TextConfig | None) -> Grammar | None:
    match text.format if text else None:
        case SchemaFormat(schema=schema):
            return Grammar("json_schema", written("text.format.schema", schema), "text.format.schema")
        case JsonFormat():
            return Grammar("json_schema", '{"type": "object"}', field="text.format")
        case _:
            return None


def _use(request: ResponsesRequest) -> ToolUse:
    tools = tuple(_tool(f"tools[{i}]", each) for i, each in enumerate(request.tools or ()))
    by_name = {tool.name: tool for tool in tools}
    if len(by_name) < len(tools):
        raise InvalidInput("tools", "names must be unique")
    parallel = request.parallel_tool_calls is not False
    match request.tool_choice:
        case None | "auto":
            return ToolUse(tools, "auto", parallel)
        case "none":
            return ToolUse(tools, "none", parallel)
        case "required" if tools:
            return ToolUse(tools, "required", parallel)
        case NamedChoice(type="function", name=str(name)):
            if name not in by_name:
                raise InvalidInput("tool_choice.name", f"no tool is called {name!r}")
            return ToolUse(tools, by_name[name], parallel=False)
        case "required":
            raise InvalidInput("tool_choice", "needs tools")
        case _:
            raise InvalidInput("tool_choice", "must be none, auto, required, or a function by its name")


def _tool(field: str, tool: FunctionTool) -> Tool:
    if tool.type != "function":
        raise InvalidInput(f"{field}.type", f"{tool.type!r} runs on OpenAI's servers, not on this; allowed: function")
    if tool.name is None:
        raise InvalidInput(f"{field}.name", "is required")
    schema = written(f"{field}.parameters", tool.parameters or {"type": "object"})
    return Tool(tool.name, schema, tool.description or "", tool.strict is True)


def _refuse_what_we_cannot(request: ResponsesRequest) -> None:
    for name, harmless in _REFUSED.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            raise InvalidInput(name, "is not supported by this server; leave it out")
    for number, name in enumerate(request.include or ()):
        if name not in _INCLUDED:
            raise InvalidInput(f"include[{number}]", f"{name!r} cannot be included by this server")
    if request.text is not None and request.text.verbosity not in (None, "medium"):
        raise InvalidInput("text.verbosity", "is not known to local models; leave it out")
    reasoning = request.reasoning or Reasoning()
    if {reasoning.summary, reasoning.generate_summary} - {None, "auto"}:
        raise InvalidInput("reasoning.summary", "nothing is summarised: what is thought is told in full; leave it out")
