"""Memories as others write them, turned into our lines: exports of mem0, and the file of the MCP reference server.

What has an id of its own keeps it, or gets one that follows from what it says: coming in twice changes nothing.
Each entry is read by itself, so that one that is wrong keeps none of the others out. Only what it takes to write our
line is looked at here, and what has another name in their files, so that it is told by that; what else a memory may
hold is for who reads the line.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import check_document, check_text
from agent_memory.domain.semantic.documents import Entries
from agent_memory.domain.semantic.jsonl import bare, check_utf8
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, LONGEST_TAG, MemoryType, Scope, check_who, parse_tags

LONGEST_ENTITY = 4_000_000  # characters of a line of the MCP file, which has all that is observed of one entity
_LONGEST_ENTRY = 4_000_000  # characters of a memory of mem0, or of a page of them
# What a memory has no field for. What mem0 knows of a search or of the text alone (score, hash) is left out, and so is
# its graph (entities, relations), which may be larger than metadata can be.
_KEPT_OF_MEM0 = (
    "run_id", "app_id", "actor_id", "role", "structured_attributes", "attributed_to", "immutable", "memory_type",
    "owner", "organization",
)  # fmt: skip
_KINDS_OF_MEM0 = {f"{kind}_memory": kind for kind in MemoryType}
_PAGE = ("results", "memories")
_LEAST_MILLISECONDS = 1e11  # of an epoch number; as seconds that is after the year 5000
_CAPITAL = re.compile("[A-Z]")


def document_of_mem0() -> Entries:
    """Reads an export: a list of memories or of pages of them, or one page."""
    return Entries(_PAGE, _LONGEST_ENTRY)


def entries_of_mem0(entry: Any) -> list[Any]:
    """The memories of a page, or the entry itself, whatever it is."""
    if isinstance(entry, dict) and "memory" not in entry:
        for name in _PAGE:
            if isinstance(entry.get(name), list):
                return list(entry[name])
    return [entry]


def lines_of_mem0(entry: Any, scope: Scope, now: datetime) -> Iterator[str]:
    """An entry as a line; who it is about comes from the entry, or from the given scope. What has expired stays so: no
    search finds it. Names may be as Python's client writes them (user_id) or as TypeScript's does (userId). Raises
    InvalidInput, by the names that the entry has.
    """
    if isinstance(entry, InvalidInput):
        raise entry
    if not isinstance(entry, dict):
        raise InvalidInput("entry", "is not a JSON object")
    ours = {_snake(name): of for name, of in entry.items()} | entry
    try:
        line = _line_of_mem0(ours, scope, now)
    except InvalidInput as error:
        theirs = {_snake(name): name for name in entry} | {name: name for name in entry}
        raise InvalidInput(theirs.get(error.field, error.field), error.reason) from None
    yield line


def _line_of_mem0(entry: dict[str, Any], scope: Scope, now: datetime) -> str:
    content, metadata = entry.get("memory"), _metadata_of_mem0(entry)
    if content is None:
        raise InvalidInput("memory", "is missing")
    check_text("memory", content, LONGEST_CONTENT)
    agent_id, user_id = str(entry.get("agent_id") or scope.agent_id), str(entry.get("user_id") or scope.user_id)
    check_who(agent_id, user_id)
    fields = {"metadata": metadata, "tags": _tags_of_mem0(entry), "expires_at": _end(entry)}
    kind = metadata.get("memory_type")
    if isinstance(kind, str) and kind in _KINDS_OF_MEM0:
        fields["memory_type"] = _KINDS_OF_MEM0[kind]
    updated_at = _moment(entry, "updated_at")
    if updated_at is not None:
        fields["updated_at"] = updated_at.isoformat()
    created_at = _moment(entry, "created_at") or updated_at or now
    return _line(entry.get("id"), {"agent_id": agent_id, "user_id": user_id}, content, created_at, fields)


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


def _metadata_of_mem0(entry: dict[str, Any]) -> dict[str, Any]:
    """Its own, and what is told beside it, where that has no such name."""
    metadata = entry.get("metadata") or {}
    check_document("metadata", metadata)
    return {name: entry[name] for name in _KEPT_OF_MEM0 if entry.get(name)} | metadata


def _tags_of_mem0(entry: dict[str, Any]) -> list[str]:
    """A category that is empty, or longer than a tag, is left out: the memory is worth more than it."""
    told = entry.get("categories") or []
    if not isinstance(told, list):
        raise InvalidInput("categories", "must be a list of texts")
    try:
        return sorted(parse_tags(each for each in told if not isinstance(each, str) or 1 <= len(each) <= LONGEST_TAG))
    except InvalidInput as error:
        raise InvalidInput("categories", error.reason) from None


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda capital: f"_{capital[0].lower()}", name)


def _end(entry: dict[str, Any]) -> str | None:
    """The last moment of the day that is named: to mem0 it is the last day on which the memory holds, in UTC."""
    moment = _moment(entry, "expiration_date")
    if moment is None:
        return None
    told = entry["expiration_date"]
    if isinstance(told, str) and len(told) == len(date.min.isoformat()):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment.isoformat()


def _moment(entry: dict[str, Any], name: str) -> datetime | None:
    """A text, or the seconds or milliseconds since 1970."""
    told = entry.get(name)
    if told is None:
        return None
    try:
        if isinstance(told, int | float) and not isinstance(told, bool):
            return datetime.fromtimestamp(told if abs(told) < _LEAST_MILLISECONDS else told / 1000, UTC)
        moment = datetime.fromisoformat(str(told))
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(name, f"is no moment in ISO 8601: {str(told)[:40]!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(what, "is not JSON") from None
    except RecursionError:
        raise InvalidInput(what, "is nested too deeply") from None
