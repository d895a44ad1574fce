"""The nine tools: what a model is told of them, and the way of every call, from arguments to an answer or a refusal."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mcp_types import CallToolResult, InputRequiredResult, TextContent, Tool, ToolAnnotations
from msgspec import Struct, to_builtins

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire import keeping as kept
from agent_memory.entrypoints.http.wire import memories as wire
from agent_memory.entrypoints.http.wire.decoding import convert
from agent_memory.entrypoints.mcp import answers, arguments, verbs
from agent_memory.entrypoints.mcp.calling import Call
from agent_memory.entrypoints.mcp.deleting import delete_memory
from agent_memory.entrypoints.mcp.errors import refused
from agent_memory.entrypoints.mcp.schemas import answer_schema, arguments_schema
from agent_memory.entrypoints.mcp.scope import Whose

_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
_CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_REMOVES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


@dataclass(frozen=True, slots=True)
class MemoryTool:
    title: str
    description: str
    takes: type[Struct]
    answers: type[Struct]
    run: Callable[[Call, Any], Awaitable[Struct | InputRequiredResult]]
    hints: ToolAnnotations

    def told(self, name: str, whose: Whose) -> Tool:
        return Tool(
            name=name,
            title=self.title,
            description=self.description,
            input_schema=arguments_schema(self.takes, whose.fixed),
            output_schema=answer_schema(self.answers),
            annotations=self.hints,
        )


TOOLS: Mapping[str, MemoryTool] = MappingProxyType(
    {
        "store_memory": MemoryTool(
            "Store a memory",
            "Remember one fact, preference, decision or event for later conversations. Found again at once.",
            arguments.StoreMemory,
            answers.StoreAnswer,
            verbs.store_memory,
            _ADDS,
        ),
        "search_memories": MemoryTool(
            "Search memories",
            "What is remembered that answers a question, best first; by meaning, words, age and importance.",
            arguments.SearchMemories,
            wire.SearchAnswer,
            verbs.search_memories,
            _READS,
        ),
        "memory_context": MemoryTool(
            "Memories for a prompt",
            "A block of remembered lines within a token budget, to begin a conversation or an answer with.",
            arguments.MemoryContext,
            answers.ContextAnswer,
            verbs.memory_context,
            _READS,
        ),
        "list_memories": MemoryTool(
            "List memories",
            "Memories that hold now, newest first, page by page; may be narrowed by type, tags, metadata and time.",
            arguments.ListMemories,
            kept.PageAnswer,
            verbs.list_memories,
            _READS,
        ),
        "count_memories": MemoryTool(
            "Count memories",
            "How many memories an agent has about a user: those that hold now, as list_memories shows them.",
            arguments.CountMemories,
            wire.CountAnswer,
            verbs.count_memories,
            _READS,
        ),
        "get_memory": MemoryTool(
            "Get a memory",
            "One memory with everything it carries, superseded or expired though it may be.",
            arguments.GetMemory,
            kept.WholeMemory,
            verbs.get_memory,
            _READS,
        ),
        "memory_history": MemoryTool(
            "History of a memory",
            "All that a memory ever said, the newest version first.",
            arguments.MemoryHistory,
            kept.VersionsAnswer,
            verbs.memory_history,
            _READS,
        ),
        "update_memory": MemoryTool(
            "Update a memory",
            "Say some of a memory anew, when it has changed or was wrong; what it said before stays in its history.",
            arguments.UpdateMemory,
            kept.WholeMemory,
            verbs.update_memory,
            _CHANGES,
        ),
        "delete_memory": MemoryTool(
            "Delete memories",
            "Delete one memory for good; or several, by ids or by a condition, which the user is asked to agree to.",
            arguments.DeleteMemory,
            answers.DeleteAnswer,
            delete_memory,
            _REMOVES,
        ),
    }
)


def told_tools(whose: Whose) -> list[Tool]:
    """In a fixed order, so that what a client keeps of them stays good."""
    return [tool.told(name, whose) for name, tool in TOOLS.items()]


async def call_tool(call: Call, name: str, given: Mapping[str, object]) -> CallToolResult | InputRequiredResult:
    """Whatever goes wrong is told to the model as an answer, so that it can mend its call."""
    try:
        tool = _named(name)
        answer = await tool.run(call, convert(call.whose.completed(given), tool.takes))
    except Exception as error:  # noqa: BLE001 - the edge: what is not ours is logged by `refused`, and not shown
        return refused(error)
    if isinstance(answer, InputRequiredResult):
        return answer
    return CallToolResult(
        content=[TextContent(text=answers.text_of(answer))], structured_content=to_builtins(answer, str_keys=True)
    )


def _named(name: str) -> MemoryTool:
    if name not in TOOLS:
        raise InvalidInput("name", f"there is no tool {name[:40]!r}; there are {', '.join(TOOLS)}")
    return TOOLS[name]
