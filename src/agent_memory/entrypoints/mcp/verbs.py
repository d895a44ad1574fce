"""What the tools do, beside deleting: arguments become a call of a use case, and what comes of it an answer."""

from typing import cast

from msgspec import UNSET

from agent_memory.application.memory_keeping import Fields
from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.selection import Selection
from agent_memory.entrypoints.http.wire import keeping as kept
from agent_memory.entrypoints.http.wire import memories as wire
from agent_memory.entrypoints.mcp import arguments
from agent_memory.entrypoints.mcp.answers import ContextAnswer, StoreAnswer
from agent_memory.entrypoints.mcp.block import Block, block_of
from agent_memory.entrypoints.mcp.calling import Call

_REVISED = ("content", "memory_type", "importance", "tags", "metadata", "event_time", "expires_at")
_LISTED = 200  # the newest of which a block without a query is made


async def store_memory(call: Call, given: arguments.StoreMemory) -> StoreAnswer:
    await call.admit_write(given.agent_id)
    remembered = await call.remembering.remember(
        {
            "content": given.content,
            "memory_type": given.memory_type,
            "importance": given.importance,
            "tags": given.tags,
            "metadata": given.metadata,
            "event_time": given.event_time,
            "expires_at": given.expires_at,
        },
        given.on_near_duplicate,
        agent_id=given.agent_id,
        user_id=given.user_id,
    )
    return StoreAnswer(memory=wire.from_remembered(remembered), added=remembered.added)


async def search_memories(call: Call, given: arguments.SearchMemories) -> wire.SearchAnswer:
    await call.admit_search(given.agent_id)
    page = await call.application.memory.recall_page(
        given.cursor,
        agent_id=given.agent_id,
        user_id=given.user_id,
        query=given.query,
        top_k=given.top_k,
        alpha=given.alpha,
        selection=selection_of(given),
    )
    return wire.from_page(given.query, page)


async def count_memories(call: Call, given: arguments.CountMemories) -> wire.CountAnswer:
    count = await call.application.memory.count(agent_id=given.agent_id, user_id=given.user_id)
    return wire.CountAnswer(agent_id=given.agent_id, user_id=given.user_id, count=count)


async def get_memory(call: Call, given: arguments.GetMemory) -> kept.WholeMemory:
    return kept.from_memory(await _of_user(call, given))


async def list_memories(call: Call, given: arguments.ListMemories) -> kept.PageAnswer:
    page = await call.keeping.list(
        agent_id=given.agent_id,
        user_id=given.user_id,
        selection=selection_of(given),
        cursor=given.cursor,
        limit=given.limit,
    )
    return kept.from_page(page)


async def update_memory(call: Call, given: arguments.UpdateMemory) -> kept.WholeMemory:
    await call.admit_write(given.agent_id)
    await _of_user(call, given)
    said = {name: value for name in _REVISED if (value := getattr(given, name)) is not UNSET}
    fields = cast("Fields", said)
    revised = await call.keeping.revise(given.memory_id, agent_id=given.agent_id, version=given.version, **fields)
    return kept.from_memory(revised)


async def memory_history(call: Call, given: arguments.MemoryHistory) -> kept.VersionsAnswer:
    await _of_user(call, given)
    versions = await call.keeping.history(given.memory_id, agent_id=given.agent_id)
    return kept.VersionsAnswer(versions=[kept.from_memory(version) for version in versions])


async def memory_context(call: Call, given: arguments.MemoryContext) -> ContextAnswer:
    await call.admit_search(given.agent_id)
    block = await context_block(call, given.agent_id, given.user_id, given.query, given.max_tokens)
    return ContextAnswer(context=block.text, memories=block.memories, tokens=block.tokens)


async def context_block(call: Call, agent_id: str, user_id: str, query: str | None, max_tokens: int) -> Block:
    """What answers the query, best first; without one, the newest."""
    if query is None:
        page = await call.keeping.list(agent_id=agent_id, user_id=user_id, limit=_LISTED)
        return block_of(page.memories, max_tokens)
    found = await call.application.memory.recall(agent_id=agent_id, user_id=user_id, query=query, max_tokens=max_tokens)
    return block_of((each.memory for each in found), max_tokens)


def selection_of(given: arguments.Selected) -> Selection:
    fields = {name: getattr(given, name) for name in arguments.Selected.__struct_fields__}
    return kept.to_selection(kept.SelectionFields(**fields))


async def _of_user(call: Call, given: arguments.GetMemory) -> Memory:
    """Raises NotFound where it is another agent's, or about another user than the one that is fixed or given."""
    return await call.keeping.get(given.memory_id, agent_id=given.agent_id, user_id=given.user_id)
