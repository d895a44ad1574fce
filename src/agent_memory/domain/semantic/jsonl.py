"""A memory as one line of JSON, with its id, times and vector, and back: what export writes and import reads."""

import base64
import json
import sys
from array import array
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import check_count, check_moment
from agent_memory.domain.semantic.memory import (
    Condensing,
    Embedding,
    Memory,
    MemoryType,
    Scope,
    parse_condensing,
    parse_memory_id,
    parse_memory_type,
    parse_tags,
)
from agent_memory.domain.semantic.retention import LABEL

_LATEST_VERSION = 2**30  # far below the last one: what comes in is there to be revised
LONGEST_LINE = 1_000_000  # characters: several times what content, metadata and vector take at most

_ROUNDING = 0.01  # that a store of half precision may have done to the length of a vector
# What JSON leaves in a text as it is, and many who split lines end one at.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


def line_of(memory: Memory, embedding: Embedding) -> str:
    line = json.dumps(
        {
            "id": str(memory.id),
            "agent_id": memory.scope.agent_id,
            "user_id": memory.scope.user_id,
            "content": memory.content,
            "created_at": memory.created_at.isoformat(),
            "updated_at": memory.updated_at.isoformat(),
            "memory_type": memory.memory_type,
            "importance": memory.importance,
            "tags": sorted(memory.tags),
            "metadata": memory.metadata,
            "expires_at": _written(memory.expires_at),
            "event_time": _written(memory.event_time),
            "version": memory.version,
            "superseded_by": None if memory.superseded_by is None else str(memory.superseded_by),
            "superseded_at": _written(memory.superseded_at),
            "condensing": memory.condensing,
            "embedding_model": embedding.model,
            "embedding": base64.b64encode(_little_endian(embedding.vector)).decode(),
        },
        ensure_ascii=False,
    )
    for end, escaped in _LINE_ENDS.items():
        line = line.replace(end, escaped)
    return line


def entry_of(
    line: str, tenant: str, agent_id: str | None = None, user_id: str | None = None
) -> tuple[Memory, Embedding | None]:
    """The memory of whoever reads the line, and its vector if the line has one; what is missing has its default, but
    id, content and time, and agent and user where none is given for them.
    """
    if len(line) > LONGEST_LINE:
        raise InvalidInput("line", f"must have at most {LONGEST_LINE} characters")
    check_utf8(line)
    try:
        fields = json.loads(bare(line))
    except (ValueError, RecursionError):
        raise InvalidInput("line", "is not JSON") from None
    if not isinstance(fields, dict):
        raise InvalidInput("line", "is not a JSON object")
    try:
        return _memory(_marked(_named(fields, agent_id=agent_id, user_id=user_id)), tenant), _embedding(fields)
    except KeyError as missing:
        raise InvalidInput(str(missing.args[0]), "is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInput("line", f"has a field of the wrong kind: {error}") from None


def bare(line: str) -> str:
    """Without blanks, and without the mark with which some editors begin a file."""
    return line.removeprefix("\ufeff").strip()


def check_utf8(line: str) -> None:
    """Raises InvalidInput for bytes that are none: whoever decoded them has left lone surrogates in their place."""
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("line", f"is not valid UTF-8 at character {error.start + 1}") from None


def _named(fields: Mapping[str, Any], **given: str | None) -> Mapping[str, Any]:
    """With whose it is, where the line does not say."""
    lacking = {name: told for name, told in given.items() if told is not None and fields.get(name) is None}
    return {**fields, **lacking} if lacking else fields


def _marked(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what condensing knows of it, which exports of before tell by the metadata alone."""
    metadata = fields.get("metadata")
    if "condensing" in fields or not isinstance(metadata, dict):
        return fields
    told, kind = metadata.get(LABEL), fields.get("memory_type", MemoryType.EPISODIC)
    if told == Condensing.RESTORED and kind == MemoryType.EPISODIC:
        own = {name: value for name, value in metadata.items() if name != LABEL}
        return {**fields, "condensing": Condensing.RESTORED, "metadata": own}
    counted = isinstance(told, dict) and told.keys() >= {"memories", "from", "until"}
    if counted and kind == MemoryType.SEMANTIC and LABEL in fields.get("tags", ()):
        return {**fields, "condensing": Condensing.SUMMARY}
    return fields


def _memory(fields: Mapping[str, Any], tenant: str) -> Memory:
    superseded_by, condensing = fields.get("superseded_by"), fields.get("condensing")
    version = fields.get("version", 1)
    check_count("version", version, 1, _LATEST_VERSION)
    if superseded_by is not None and fields.get("superseded_at") is None:
        raise InvalidInput("superseded_at", "is missing, with superseded_by there")
    created_at = _read(fields, "created_at")
    if created_at is None:
        raise KeyError("created_at")
    return Memory(
        id=parse_memory_id(fields["id"], "id"),
        scope=Scope(fields["agent_id"], fields["user_id"], tenant),
        content=fields["content"],
        created_at=created_at,
        memory_type=parse_memory_type(fields.get("memory_type", "episodic")),
        importance=fields.get("importance", 1.0),
        tags=parse_tags(fields.get("tags", ())),
        metadata=fields.get("metadata", {}),
        expires_at=_read(fields, "expires_at"),
        event_time=_read(fields, "event_time"),
        version=version,
        superseded_by=None if superseded_by is None else parse_memory_id(superseded_by, "superseded_by"),
        superseded_at=_read(fields, "superseded_at"),
        condensing=None if condensing is None else parse_condensing(condensing),
        revised_at=_revised(_read(fields, "updated_at"), created_at),
    )


def _revised(updated_at: datetime | None, created_at: datetime) -> datetime | None:
    """Nothing was revised before it was kept."""
    if updated_at is None:
        return None
    check_moment("updated_at", updated_at)
    check_moment("created_at", created_at)
    return updated_at if updated_at > created_at else None


def _embedding(fields: Mapping[str, Any]) -> Embedding | None:
    if not fields.get("embedding"):
        return None
    try:
        vector = array("f", base64.b64decode(fields["embedding"], validate=True))
    except (TypeError, ValueError):
        raise InvalidInput("embedding", "must be 32-bit floats in base64") from None
    if sys.byteorder == "big":
        vector.byteswap()
    try:
        return Embedding(str(fields["embedding_model"]), vector).scaled(_ROUNDING)
    except ValueError as error:
        raise InvalidInput("embedding", str(error)) from None


def _little_endian(vector: "array[float]") -> bytes:
    copy = array("f", vector)
    if sys.byteorder == "big":
        copy.byteswap()
    return copy.tobytes()


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _read(fields: Mapping[str, Any], name: str) -> datetime | None:
    moment = fields.get(name)
    if moment is None:
        return None
    try:
        return datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        raise InvalidInput(name, f"must be a time in ISO 8601, is {str(moment)[:40]!r}") from None
