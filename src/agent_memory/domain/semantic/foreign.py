"""Memories as others write them, turned into our lines: exports of mem0, and the file of the MCP reference server.

What has an id of its own keeps it, or gets one that follows from what it says: coming in twice changes nothing.
Each entry is read by itself, so that one that is wrong keeps none of the others out. Only what it takes to write our
line is looked at here; what a memory may hold is for who reads the line.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.jsonl import bare, check_utf8
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, Scope

LONGEST_ENTITY = 4_000_000  # characters of a line of the MCP file, which has all that is observed of one entity
# What a memory has no field for. What mem0 knows of a search or of the text alone (score, hash) is left out, and so is
# its graph (entities, relations), which may be larger than metadata can be.
_KEPT_OF_MEM0 = (
    "run_id", "app_id", "actor_id", "role", "structured_attributes", "attributed_to", "immutable", "memory_type",
    "owner", "organization",
)  # fmt: skip
_CAPITAL = re.compile("[A-Z]")


def entries_of_mem0(document: bytes) -> list[Any]:
    """The entries of an export, whatever they are. Raises InvalidInput where there is no list of them."""
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("document", f"is not valid UTF-8 at byte {error.start + 1}") from None
    read = _json(text, "document")
    entries = read.get("results", read.get("memories")) if isinstance(read, dict) else read
    if not isinstance(entries, list):
        raise InvalidInput("document", "is no export of mem0: it has no list of results")
    return entries


def lines_of_mem0(entry: Any, scope: Scope, now: datetime) -> Iterator[str]:
    """An entry as a line; who it is about comes from the entry, or from the given scope. What has expired stays so: no
    search finds it. Names may be as Python's client writes them (user_id) or as TypeScript's does (userId). Raises
    InvalidInput.
    """
    if not isinstance(entry, dict):
        raise InvalidInput("entry", "is not a JSON object")
    entry = {_snake(name): of for name, of in entry.items()} | entry
    if entry.get("memory") is None:
        raise InvalidInput("memory", "is missing")
    who = {"agent_id": entry.get("agent_id") or scope.agent_id, "user_id": entry.get("user_id") or scope.user_id}
    fields = {"metadata": _metadata_of_mem0(entry), "tags": entry.get("categories") or [], "expires_at": _end(entry)}
    updated_at = _moment(entry, "updated_at")
    created_at = _moment(entry, "created_at") or updated_at or now
    if updated_at is not None:
        fields["updated_at"] = updated_at.isoformat()
    yield _line(entry.get("id"), {name: str(of) for name, of in who.items()}, entry["memory"], created_at, fields)


def lines_of_mcp(line: str, scope: Scope, now: datetime) -> Iterator[str]:
    """A line of the file: each observation of an entity, and each relation, is a memory: what is so, since nobody says
    when it was. An entity of which nothing is observed is a memory of its name and type. Raises InvalidInput.
    """
    if len(line) > LONGEST_ENTITY:
        raise InvalidInput("line", f"must have at most {LONGEST_ENTITY} characters")
    check_utf8(line)
    if not bare(line):
        return
    who = {"agent_id": scope.agent_id, "user_id": scope.user_id}
    for text, metadata in _told(_json(bare(line), "line")):
        yield _line(None, who, text, now, {"memory_type": "semantic", "metadata": metadata})


def _told(entry: Any) -> Iterator[tuple[object, dict[str, Any]]]:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "entity":
        name, observations = _text(entry, "name"), entry.get("observations", [])
        if not isinstance(observations, list):
            raise InvalidInput("observations", "must be a list")
        for observation in observations:
            # What is no text, or empty, stays what it is, and is refused by itself.
            told_of = observation
            if isinstance(observation, str):
                told_of = f"{name}: {observation}" if observation.strip() else ""
            yield told_of, {"entity": name, "entity_type": entry.get("entityType", "")}
        if not observations:
            kind = entry.get("entityType") or ""
            yield f"{name}: {kind}" if kind else name, {"entity": name, "entity_type": kind}
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
        return json.dumps(head | who | fields | {"condensing": None})
    except RecursionError:
        raise InvalidInput("entry", "is nested too deeply") from None


def _id(name: object, who: dict[str, str], content: object) -> UUID:
    try:
        return UUID(str(name))
    except ValueError:
        told = json.dumps([str(name), who["agent_id"], who["user_id"], content])
        return uuid5(NAMESPACE_URL, f"urn:agent-memory:{told}")


def _metadata_of_mem0(entry: dict[str, Any]) -> object:
    """Its own, and what is told beside it, where that has no such name. What is no object is refused by its reader."""
    metadata = entry.get("metadata") or {}
    beside = {name: entry[name] for name in _KEPT_OF_MEM0 if entry.get(name)}
    return beside | metadata if isinstance(metadata, dict) else metadata


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda capital: f"_{capital[0].lower()}", name)


def _end(entry: dict[str, Any]) -> str | None:
    """The last moment of the day that is named: to mem0 it is the last day on which the memory holds, in UTC."""
    moment = _moment(entry, "expiration_date")
    if moment is None:
        return None
    if len(str(entry["expiration_date"])) == len(date.min.isoformat()):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment.isoformat()


def _moment(entry: dict[str, Any], name: str) -> datetime | None:
    text = entry.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise InvalidInput(name, f"is no moment in ISO 8601: {str(text)[:40]!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(what, "is not JSON") from None
    except RecursionError:
        raise InvalidInput(what, "is nested too deeply") from None
