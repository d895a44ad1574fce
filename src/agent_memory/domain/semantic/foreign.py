"""Memories as others write them, turned into our lines: exports of mem0, and the file of the MCP reference server.

What has an id of its own keeps it, or gets one that follows from what it says: coming in twice changes nothing.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import Scope


def lines_of_mem0(document: str, scope: Scope, now: datetime) -> Iterator[str]:
    """Each memory of an export; who it is about comes from the export, or from the given scope."""
    read = _json(document)
    entries = read.get("results", read.get("memories")) if isinstance(read, dict) else read
    if not isinstance(entries, list):
        raise InvalidInput("document", "is no export of mem0: it has no list of results")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("memory"), str):
            raise InvalidInput("document", f"has an entry without a memory: {str(entry)[:80]}")
        who = Scope(
            str(entry.get("agent_id") or scope.agent_id), str(entry.get("user_id") or scope.user_id), scope.tenant
        )
        created_at = _moment(entry.get("created_at"), now)
        fields = {"metadata": entry.get("metadata") or {}, "tags": entry.get("categories") or []}
        yield _line(entry.get("id"), who, entry["memory"], created_at, fields)


def lines_of_mcp(document: str, scope: Scope, now: datetime) -> Iterator[str]:
    """Each observation of an entity, and each relation, is a memory: what is so, since nobody says when it was."""
    # Not `splitlines`: JavaScript writes U+2028, and others that end a line elsewhere, into its texts as they are.
    for line in document.split("\n"):
        if not line.strip():
            continue
        entry = _json(line)
        try:
            yield from (_line(None, scope, text, now, fields) for text, fields in _told(entry))
        except (KeyError, TypeError, AttributeError):
            raise InvalidInput("document", f"has a line that is no entity or relation: {line[:80]}") from None


def _told(entry: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if entry["type"] == "entity":
        fields = _semantic({"entity": entry["name"], "entity_type": entry.get("entityType", "")})
        for observation in entry["observations"]:
            yield f"{entry['name']}: {observation}", fields
    elif entry["type"] == "relation":
        told = {"from": entry["from"], "relation": entry["relationType"], "to": entry["to"]}
        yield f"{entry['from']} {entry['relationType']} {entry['to']}", _semantic(told)
    else:
        raise KeyError(entry["type"])


def _semantic(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"memory_type": "semantic", "metadata": metadata}


def _line(name: object, scope: Scope, content: str, created_at: datetime, fields: dict[str, Any]) -> str:
    head = {
        "id": str(_id(name, scope, content)),
        "agent_id": scope.agent_id,
        "user_id": scope.user_id,
        "content": content,
        "created_at": created_at.isoformat(),
    }
    return json.dumps(head | fields)


def _id(name: object, scope: Scope, content: str) -> UUID:
    try:
        return UUID(str(name))
    except ValueError:
        told = json.dumps([str(name), scope.agent_id, scope.user_id, content])
        return uuid5(NAMESPACE_URL, f"urn:agent-memory:{told}")


def _moment(text: object, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return now
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("document", "is not JSON") from None
