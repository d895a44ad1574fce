"""`delete_memory`: one memory at once; several only when the user agrees, asked where the client can ask."""

from mcp_types import InputRequiredResult
from msgspec import to_builtins

from agent_memory.domain.errors import InvalidInput, NotFound
from agent_memory.domain.semantic.memory import MemoryId, parse_memory_id
from agent_memory.entrypoints.mcp.answers import DeleteAnswer
from agent_memory.entrypoints.mcp.arguments import DeleteMemory, Selected
from agent_memory.entrypoints.mcp.asking import agreement
from agent_memory.entrypoints.mcp.calling import Call
from agent_memory.entrypoints.mcp.verbs import selection_of

_LONGEST = 300  # characters of a condition in a question


async def delete_memory(call: Call, given: DeleteMemory) -> DeleteAnswer | InputRequiredResult:
    await call.admit_write(given.agent_id)
    match [given.memory_id, given.memory_ids, given.where]:
        case [str(one), None, None]:
            await call.application.memory.forget(one, agent_id=given.agent_id, user_id=given.user_id)
            return DeleteAnswer(deleted=1)
        case [None, list(several), None]:
            return await _several(call, given, several)
        case [None, None, Selected() as where]:
            return await _selected(call, given, where)
        case _:
            raise InvalidInput("memory_id", "give exactly one of memory_id, memory_ids and where")


async def _several(call: Call, given: DeleteMemory, names: list[str]) -> DeleteAnswer | InputRequiredResult:
    ids = [parse_memory_id(name, f"memory_ids[{number}]") for number, name in enumerate(names)]
    unique = list(dict.fromkeys(ids))
    question = f"Delete {_memories(len(unique))} of agent {given.agent_id!r}? This cannot be undone."
    refusal = await _refusal(call, given, question) if len(unique) > 1 else None
    if refusal is not None:
        return refusal
    missing = [str(memory_id) for memory_id in unique if not await _gone(call, given, memory_id)]
    return DeleteAnswer(deleted=len(unique) - len(missing), missing=missing)


async def _selected(call: Call, given: DeleteMemory, where: Selected) -> DeleteAnswer | InputRequiredResult:
    if given.user_id is None:
        raise InvalidInput("user_id", "is required with where")
    selection = selection_of(where)
    count = await call.keeping.forget_selected(
        agent_id=given.agent_id, user_id=given.user_id, selection=selection, dry_run=True
    )
    if count == 0:
        return DeleteAnswer(deleted=0)
    condition = {name: value for name, value in to_builtins(where).items() if value}
    which = f" with {str(condition)[:_LONGEST]}" if condition else ", which is all there is"
    question = (
        f"Delete {_memories(count)} of agent {given.agent_id!r} about {given.user_id!r}{which}? This cannot be undone."
    )
    refusal = await _refusal(call, given, question)
    if refusal is not None:
        return refusal
    deleted = await call.keeping.forget_selected(agent_id=given.agent_id, user_id=given.user_id, selection=selection)
    return DeleteAnswer(deleted=deleted)


async def _refusal(call: Call, given: DeleteMemory, question: str) -> DeleteAnswer | InputRequiredResult | None:
    """None: go on. Raises InvalidInput where nobody can be asked and nobody has agreed."""
    match await agreement(call, question):
        case True:
            return None
        case False:
            return DeleteAnswer(deleted=0, agreed=False)
        case InputRequiredResult() as asked:
            return asked
        case None if given.confirm:
            return None
        case None:
            raise InvalidInput("confirm", f"must be true to go on: {question} Ask the user first: this client cannot")


async def _gone(call: Call, given: DeleteMemory, memory_id: MemoryId) -> bool:
    try:
        await call.application.memory.forget(memory_id, agent_id=given.agent_id, user_id=given.user_id)
    except NotFound:
        return False
    return True


def _memories(count: int) -> str:
    return "1 memory" if count == 1 else f"{count} memories"
