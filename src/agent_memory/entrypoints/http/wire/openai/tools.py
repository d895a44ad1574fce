"""OpenAI's tools: what a request offers and forces."""

from collections import Counter
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.domain.chat import NO_TOOLS, Tool, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.written import written

_NAME = "^[a-zA-Z0-9_.:/-]{1,128}$"


class FunctionShape(Struct, kw_only=True):
    """Without `parameters` it has none. `strict`: a schema that cannot be kept to in full is refused."""

    name: Annotated[str, Meta(pattern=_NAME)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Struct, tag="function", tag_field="type", kw_only=True):
    function: FunctionShape


class NamedFunction(Struct, kw_only=True):
    name: str


class NamedChoice(Struct, tag="function", tag_field="type", kw_only=True):
    function: NamedFunction


ToolChoice = Literal["none", "auto", "required"] | NamedChoice


def to_use(tools: list[FunctionTool] | None, choice: ToolChoice | None, *, parallel: bool) -> ToolUse:
    if not tools:
        if choice in (None, "none", "auto"):
            return NO_TOOLS
        raise InvalidInput("tool_choice", "there are no tools to choose from")
    offered = {tool.function.name: _tool(f"tools[{i}].function", tool.function) for i, tool in enumerate(tools)}
    [(most, count)] = Counter(tool.function.name for tool in tools).most_common(1)
    if count > 1:
        raise InvalidInput("tools", f"there are {count} of the name {most!r}")
    if not isinstance(choice, NamedChoice):
        return ToolUse(tuple(offered.values()), choice or "auto", parallel)
    if choice.function.name not in offered:
        raise InvalidInput("tool_choice", f"there is no tool {choice.function.name!r} among tools")
    return ToolUse(tuple(offered.values()), offered[choice.function.name], parallel=False)


def _tool(field: str, function: FunctionShape) -> Tool:
    schema = written(f"{field}.parameters", function.parameters or {"type": "object", "properties": {}})
    return Tool(function.name, schema, function.description or "", function.strict is True)
