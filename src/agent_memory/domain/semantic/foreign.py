"""Memories as others write them, turned into our lines: exports of mem0, and the file of the MCP reference server.

What has an id of its own keeps it, or gets one that follows from what it says: coming in twice changes nothing.
Each entry is read by itself, so that one that is wrong keeps none of the others out. Only what it takes to write our
line is looked at here; what a memory may hold is for who reads the line.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, Scope

LONGEST_ENTITY = 4_000_000  # characters of a line of the MCP file, which has all that is observed of one entity


def entries_of_mem0(document: str) -> list[Any]:
    """The entries of an export, whatever they are. Raises InvalidInput where there is no list of them."""
    read = _json(document, "document")
    entries = read.get("results", read.get("memories")) if isinstance(read, dict) else read
    if not isinstance(entries, list):
        raise InvalidInput("document", "is no export of mem0: it has no list of results")
    return entries


def lines_of_mem0(entry: Any, scope: Scope, now: datetime) -> Iterator[str]:
    """An entry as a line; who it is about comes from the entry, or from the given scope. Raises InvalidInput."""
    if not isinstance(entry, dict):
        raise InvalidInput("entry", "is not a JSON object")
    if entry.get("memory") is None:
        raise InvalidInput("memory", "is missing")
    who = {"agent_id": entry.get("agent_id") or scope.agent_id, "user_id": entry.get("user_id") or scope.user_id}
    fields = {"metadata": entry.get("metadata") or {}, "tags": entry.get("categories") or []}
    created_at = _moment(entry.get("created_at"), now)
    yield _line(entry.get("id"), {name: str(of) for name, of in who.items()}, entry["memory"], created_at, fields)


def lines_of_mcp(line: str, scope: Scope, now: datetime) -> Iterator[str]:
    """A line of the file: each observation of an entity, and each relation, is a memory: what is so, since nobody says
    when it was. Raises InvalidInput.
    """
    if not line.strip():
        return
    if len(line) > LONGEST_ENTITY:
        raise InvalidInput("line", f"must have at most {LONGEST_ENTITY} characters")
    who = {"agent_id": scope.agent_id, "user_id": scope.user_id}
    for text, metadata in _told(_json(line, "line")):
        yield _line(None, who, text, now, {"memory_type": "semantic", "metadata": metadata})


def _told(entry: Any) -> Iterator[tuple[object, dict[str, Any]]]:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "entity":
        name, observations = _text(entry, "name"), entry.get("observations")
        if not isinstance(observations, list):
            raise InvalidInput("observations", "must be a list")
        for observation in observations:
            # What is no text stays what it is, and is refused by itself.
            told_of = f"{name}: {observation}" if isinstance(observation, str) else observation
            yield told_of, {"entity": name, "entity_type": entry.get("entityType", "")}
    elif kind == "relation":
        told = {"from": _text(entry, "from"), "relation": _text(entry, "relationType"), "to": _text(entry, "to")}
        yield f"{told['from']} {told['relation']} {told['to']}", told
    else:
        raise InvalidInput("line", "is no entity and no relation")


def _text(entry: dict[str, Any], name: str) -> str:
    """A text that becomes part of each content: one that is too long for it is told once."""
    text = entry.get(name)
    if not isinstance(text, str):
        raise InvalidInput(name, "must be a text")
    if len(text) > LONGEST_CONTENT:
        raise InvalidInput(name, f"must have at most {LONGEST_CONTENT} characters, has {len(text)}")
    return text


def _line(name: object, who: dict[str, str], content: object, created_at: datetime, fields: dict[str, Any]) -> str:
    try:
        head = {"id": str(_id(name, who, content)), "content": content, "created_at": created_at.isoformat()}
        return json.dumps(head | who | fields)
    except RecursionError:
        raise InvalidInput("entry", "is nested too deeply") from None


def _id(name: object, who: dict[str, str], content: object) -> UUID:
    try:
        return UUID(str(name))
    except ValueError:
        told = json.dumps([str(name), who["agent_id"], who["user_id"], content])
        return uuid5(NAMESPACE_URL, f"urn:agent-memory:{told}")


def _moment(text: object, now: datetime) -> datetime:
    if text is None:
        return now
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise InvalidInput("created_at", f"is no moment in ISO 8601: {str(text)[:40]!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(what, "is not JSON") from None
    except RecursionError:
        raise InvalidInput(what, "is nested too deeply") from None
