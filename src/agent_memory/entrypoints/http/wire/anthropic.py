"""What is asked in Anthropic's messages dialect, and how it becomes a `Prompt`.

Fields we do not know are ignored, as newer clients need. Fields we know and cannot honour are refused by name. What is
only a hint (cache_control, budget_tokens, effort) is checked, and docs/anthropic.md says what becomes of it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.application.conversation import Grammar, Prompt
from agent_memory.domain.chat import Tool, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.entrypoints.http.wire.anthropic_messages import CacheControl, InputMessage, TextBlock, to_messages
from agent_memory.entrypoints.http.wire.written import written
from agent_memory.settings import ModelPlan

StopText = Annotated[str, Meta(min_length=1)]
ToolName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")]


class ToolDefinition(Struct, kw_only=True):
    """`input_schema` is required: tools that have none run on Anthropic's servers, or are known to its models only."""

    name: ToolName
    type: str | None = None
    description: str = ""
    input_schema: dict[str, Any] | None = None
    input_examples: list[dict[str, Any]] | None = None
    strict: bool | None = None  # a schema that cannot be kept to in full is refused
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    cache_control: CacheControl | None = None


class AutoChoice(Struct, tag="auto", tag_field="type"):
    disable_parallel_tool_use: bool = False


class AnyChoice(Struct, tag="any", tag_field="type"):
    disable_parallel_tool_use: bool = False


class NamedChoice(Struct, tag="tool", tag_field="type"):
    name: str
    disable_parallel_tool_use: bool = False


class NoChoice(Struct, tag="none", tag_field="type"):
    pass


Display = Literal["summarized", "omitted"]


class ThinkingEnabled(Struct, tag="enabled", tag_field="type"):
    budget_tokens: Annotated[int, Meta(ge=1)]
    display: Display | None = None


class ThinkingAdaptive(Struct, tag="adaptive", tag_field="type"):
    display: Display | None = None


class ThinkingBetweenTools(Struct, tag="between_tools", tag_field="type"):
    display: Display | None = None


class ThinkingDisabled(Struct, tag="disabled", tag_field="type"):
    pass


class OutputFormat(Struct, kw_only=True):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Struct, kw_only=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(Struct):
    user_id: str | None = None


class ContextEdit(Struct, kw_only=True):
    type: str


class ContextManagement(Struct, kw_only=True):
    edits: list[ContextEdit] = []


class CountRequest(Struct, kw_only=True):
    """What the model is to read."""

    messages: Annotated[list[InputMessage], Meta(min_length=1)]
    model: str = "default"
    system: str | list[TextBlock] | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: AutoChoice | AnyChoice | NamedChoice | NoChoice | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingBetweenTools | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None  # where output_config.format was before
    cache_control: CacheControl | None = None
    context_management: ContextManagement | None = None
    # known, and refused unless they ask for what is done anyway
    mcp_servers: list[dict[str, Any]] | None = None
    container: str | dict[str, Any] | None = None
    inference_geo: str | None = None
    speed: str | None = None


class MessagesRequest(CountRequest, kw_only=True):
    max_tokens: Annotated[int, Meta(ge=1)]
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: Annotated[list[StopText], Meta(max_length=256)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    stream: bool | None = None
    # ours
    x_cache: bool | None = None
    no_store: bool | None = None


_REFUSED: Mapping[str, Sequence[object]] = {
    "mcp_servers": ([],),
    "container": (),
    "inference_geo": ("global",),
    "speed": ("standard",),
}
"""Known field -> the values that ask for nothing beyond what is done."""

_OWN_TOOLS = (None, "custom")
_HARMLESS_EDIT = "clear_thinking_"  # templates leave former thoughts out by themselves, where their model wants that


def to_count(request: CountRequest, tenant: str) -> Prompt:
    _refuse_what_we_cannot(request)
    return Prompt(
        messages=to_messages(request.system, request.messages),
        sampling=Sampling(),
        tenant=tenant,
        use=_use(request),
        thinking=not isinstance(request.thinking, ThinkingDisabled),
    )


def to_prompt(
    request: MessagesRequest, plan: ModelPlan, tenant: str, seconds: float | None = None, agent: AgentName | None = None
) -> Prompt:
    """What the request leaves open, the model's plan decides."""
    if isinstance(request.thinking, ThinkingEnabled) and request.thinking.budget_tokens >= request.max_tokens:
        raise InvalidInput("thinking.budget_tokens", f"must be less than max_tokens, {request.max_tokens}")
    read = to_count(request, tenant)
    return Prompt(
        messages=read.messages,
        sampling=Sampling(
            temperature=plan.temperature if request.temperature is None else request.temperature,
            top_p=plan.top_p if request.top_p is None else request.top_p,
            top_k=request.top_k or 0,
        ),
        max_tokens=request.max_tokens,
        stop=tuple(request.stop_sequences or ()),
        tenant=tenant,
        seconds=seconds,
        explain=request.x_cache is True,
        agent=agent or _agent_of(request, tenant),
        stored=request.no_store is not True,
        grammar=_grammar(request),
        use=read.use,
        thinking=read.thinking,
        at_most=True,
        announced=request.stream is True,
    )


def shows_thoughts(request: MessagesRequest) -> bool:
    return getattr(request.thinking, "display", None) != "omitted"


def _agent_of(request: MessagesRequest, tenant: str) -> AgentName | None:
    name = request.metadata.user_id if request.metadata else None
    return AgentName.of(tenant, name, "metadata.user_id") if name else None


def _grammar(request: CountRequest) -> Grammar | None:
    if request.output_config is not None and request.output_config.format is not None:
        given, field = request.output_config.format, "output_config.format.schema"
    elif request.output_format is not None:
        given, field = request.output_format, "output_format.schema"
    else:
        return None
    return Grammar("json_schema", written(field, given.schema), field)


def _use(request: CountRequest) -> ToolUse:
    tools = tuple(_tool(f"tools[{i}]", each) for i, each in enumerate(request.tools or ()))
    by_name = {tool.name: tool for tool in tools}
    if len(by_name) < len(tools):
        raise InvalidInput("tools", "names must be unique")
    match request.tool_choice:
        case None:
            return ToolUse(tools)
        case NoChoice():
            return ToolUse(tools, "none")
        case AutoChoice(only_one):
            return ToolUse(tools, "auto", parallel=not only_one)
        case AnyChoice() | NamedChoice() if not tools:
            raise InvalidInput("tool_choice", "needs tools")
        case AnyChoice(only_one):
            return ToolUse(tools, "required", parallel=not only_one)
        case NamedChoice(name, only_one):
            if name not in by_name:
                raise InvalidInput("tool_choice.name", f"no tool is called {name!r}")
            return ToolUse(tools, by_name[name], parallel=not only_one)


def _tool(field: str, tool: ToolDefinition) -> Tool:
    if tool.type not in _OWN_TOOLS:
        raise InvalidInput(f"{field}.type", f"{tool.type} is Anthropic's own tool, and not offered by this server")
    if tool.input_schema is None:
        raise InvalidInput(f"{field}.input_schema", "is required")
    if tool.defer_loading:
        raise InvalidInput(f"{field}.defer_loading", "this server has no tool search: leave it out")
    if tool.allowed_callers is not None and "direct" not in tool.allowed_callers:
        raise InvalidInput(f"{field}.allowed_callers", "must hold direct: this server runs no code that could call it")
    told = enumerate(tool.input_examples or ())
    examples = "\n".join(written(f"{field}.input_examples[{number}]", each) for number, each in told)
    description = f"{tool.description}\n\nExamples of its input:\n{examples}" if examples else tool.description
    schema = written(f"{field}.input_schema", tool.input_schema)
    return Tool(tool.name, schema, description, tool.strict is True)


def _refuse_what_we_cannot(request: CountRequest) -> None:
    for name, harmless in _REFUSED.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            raise InvalidInput(name, "is not supported by this server; leave it out")
    for number, edit in enumerate(request.context_management.edits if request.context_management else ()):
        if not edit.type.startswith(_HARMLESS_EDIT):
            raise InvalidInput(
                f"context_management.edits[{number}].type", f"{edit.type}: this server never edits a conversation"
            )
