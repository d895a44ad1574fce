"""What went wrong, as a model can read it: what is wrong, with which argument, and what to do about it."""

from collections.abc import Mapping
from types import MappingProxyType

from mcp_types import CallToolResult, TextContent

from agent_memory.domain.errors import AgentMemoryError
from agent_memory.entrypoints.http.errors import logged_fault_of
from agent_memory.entrypoints.http.problems import Fault

_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "invalid-input": "Correct this argument and call again.",
        "forbidden": "Other arguments, or another key, may reach it.",
        "not-found": "search_memories and list_memories tell the ids that exist.",
        "conflict": "Read it again with get_memory, then decide anew.",
        "rate-limited": "Wait that long, then call again.",
        "overloaded": "Wait a moment, then call again.",
        "unavailable": "Try again later; arguments need no change.",
        "internal": "Trying again may help; other arguments will not.",
    }
)


def refused(error: Exception) -> CallToolResult:
    """The answer of a tool that could not do its work; what nobody expected is logged, and not shown."""
    return CallToolResult(content=[TextContent(text=told(logged_fault_of(error)))], is_error=True)


def told(fault: Fault) -> str:
    hint = _HINTS.get(fault.kind.slug)
    return fault.detail if hint is None else f"{fault.detail}. {hint}"


def plainly(error: AgentMemoryError) -> str:
    return told(logged_fault_of(error))
