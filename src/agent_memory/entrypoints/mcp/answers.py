"""What the tools answer: the shapes of the HTTP routes where there is one, and a short text to the same effect."""

from functools import singledispatch

from msgspec import Struct

from agent_memory.entrypoints.http.wire import keeping as kept
from agent_memory.entrypoints.http.wire import memories as wire

_LONGEST = 300  # characters of a memory in a list; all of it is in the structured answer


class StoreAnswer(Struct, kw_only=True):
    """`added` is false where it was known already, and that memory is the answer."""

    memory: wire.MemoryAnswer
    added: bool


class DeleteAnswer(Struct, kw_only=True):
    """`missing` are ids that name no memory of this agent (and user). `agreed` is false where the user said no."""

    deleted: int
    agreed: bool = True
    missing: list[str] = []


class ContextAnswer(Struct, kw_only=True):
    """A block of text for a prompt, how many memories it holds, and about how many tokens it has."""

    context: str
    memories: int
    tokens: int


@singledispatch
def text_of(answer: object) -> str:
    raise TypeError(f"no text is known for {type(answer).__name__}")


@text_of.register
def _stored(answer: StoreAnswer) -> str:
    said = "Stored" if answer.added else "Known already; nothing was added"
    text = f"{said}: {answer.memory.id}"
    near = answer.memory.near_duplicates
    return text if not near else f"{text} (says nearly the same as {', '.join(each.id for each in near)})"


@text_of.register
def _found(answer: wire.SearchAnswer) -> str:
    lines = [
        _line(each.id, each.memory_type, each.event_time or each.created_at, each.content) for each in answer.results
    ]
    return _listed(lines, None if not answer.next_cursor else answer.next_cursor) or "Nothing is known about that."


@text_of.register
def _page(answer: kept.PageAnswer) -> str:
    return _listed([_whole(each) for each in answer.memories], answer.next_cursor) or "There are no such memories."


@text_of.register
def _versions(answer: kept.VersionsAnswer) -> str:
    return "\n".join(
        f"version {each.version} of {_day(each.updated_at)}: {each.content[:_LONGEST]}" for each in answer.versions
    )


@text_of.register
def _one(answer: kept.WholeMemory) -> str:
    return f"{_whole(answer, len(answer.content))} (version {answer.version} of {_day(answer.updated_at)})"


@text_of.register
def _deleted(answer: DeleteAnswer) -> str:
    if not answer.agreed:
        return "Nothing was deleted: the user did not agree."
    told = "1 memory deleted." if answer.deleted == 1 else f"{answer.deleted} memories deleted."
    return f"{told} Not found: {', '.join(answer.missing)}." if answer.missing else told


@text_of.register
def _counted(answer: wire.CountAnswer) -> str:
    return "1 memory" if answer.count == 1 else f"{answer.count} memories"


@text_of.register
def _context(answer: ContextAnswer) -> str:
    return answer.context or "Nothing is remembered yet."


def _whole(memory: kept.WholeMemory, longest: int = _LONGEST) -> str:
    return _line(memory.id, memory.memory_type, memory.event_time or memory.created_at, memory.content, longest)


def _line(memory_id: str, kind: str, moment: object, content: str, longest: int = 8000) -> str:
    shown = content if len(content) <= longest else content[:longest] + "…"
    return f"[{memory_id}] {_day(moment)} {kind}: {shown}"


def _day(moment: object) -> str:
    return str(moment)[:10]


def _listed(lines: list[str], cursor: str | None) -> str:
    return "\n".join([*lines, f"More follow: cursor {cursor}"] if cursor else lines)
