"""LangGraph's items as memories, and back: what is searched is the memory's content, the item is in its metadata."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from langgraph.store.base import (
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
    get_text_at_path,
    tokenize_path,
)

from agent_memory.application.memory_keeping import Fields
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import Document, check_document, check_number
from agent_memory.domain.semantic.filters import Equals, Every, Exists, Filter
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, LONGEST_QUERY, Memory, MemoryId, Scope
from agent_memory.domain.semantic.selection import Selection
from agent_memory.entrypoints.langgraph import filters

NAMESPACE = "namespace"
_UPDATED = "updated_at"  # when it was put
_RENEWED = "renewed"  # the version that differs by its end alone, of an item of before: a later end makes none now

_WORD_END_WITHIN = 100  # characters of where a query is cut
_WHOLE_WORDS = re.compile(rf".{{{LONGEST_QUERY - _WORD_END_WITHIN},{LONGEST_QUERY}}}(?!\S)", re.DOTALL)


def memory_id(scope: Scope, namespace: tuple[str, ...], key: str) -> MemoryId:
    """Namespace and key decide it, so that whoever puts an item again finds it."""
    name = json.dumps([scope.agent_id, scope.user_id, list(namespace), key])
    return MemoryId(uuid5(NAMESPACE_URL, f"urn:agent-memory:langgraph:{name}"))


def fields_of(op: PutOp, default_paths: Sequence[str], now: datetime) -> Fields:
    text = _indexed_text(op, default_paths)
    return {
        # What is searched; the value itself is whole, however long.
        "content": (text or op.key or "-")[:LONGEST_CONTENT],
        "memory_type": "semantic",
        "metadata": _metadata(op, now, searchable=bool(text)),
        "expires_at": None if op.ttl is None else _end(op.ttl, now),
        "event_time": now,  # by which memories are in order: an item by when it was put
    }


def check_put(op: PutOp, now: datetime) -> None:
    """Raises InvalidInput for an end that no calendar has, and for a value that is larger or deeper than the metadata
    of a memory, which it is kept in.
    """
    if op.ttl is not None:
        _end(op.ttl, now)
    check_document("namespace and key", {"": [*op.namespace, op.key]})
    _check_value(op, dict(op.value or {}), "")
    _check_value(op, _metadata(op, now, searchable=True), ", its namespace and key included")


def _check_value(op: PutOp, document: Document, addition: str) -> None:
    try:
        check_document("value", document)
    except InvalidInput as error:
        raise InvalidInput("value", f"of item {op.key!r:.80} {error.reason}{addition}") from None


def updated_at(memory: Memory) -> datetime:
    """When it was put, or changed through another door."""
    metadata: Mapping[str, Any] = memory.metadata
    put = datetime.fromisoformat(metadata[_UPDATED]).astimezone(UTC)
    return max(put, memory.created_at if metadata.get(_RENEWED) == memory.version else memory.updated_at)


def renewed_end(memory: Memory, now: datetime) -> datetime | None:
    """When an item that is read now ends; None: it need not be told, at most a tenth of its time has gone."""
    ttl = memory.metadata.get("ttl")
    if not isinstance(ttl, int | float) or memory.expires_at is None:
        return None
    if memory.expires_at - now >= 0.9 * timedelta(minutes=ttl):
        return None
    try:
        return _end(ttl, now)
    except InvalidInput:
        return None  # by now there is no later end


def _end(ttl: float, now: datetime) -> datetime:
    check_number("ttl", ttl)
    try:
        return now + timedelta(minutes=ttl)
    except OverflowError:
        raise InvalidInput("ttl", f"must end before the year 10000, is {ttl:g} minutes") from None


def item_of(memory: Memory) -> Item:
    return Item(**_parts(memory))


def found_item_of(memory: Memory, score: float | None = None) -> SearchItem:
    return SearchItem(**_parts(memory), score=score)


def namespace_of(memory: Memory) -> tuple[str, ...]:
    namespace: Any = memory.metadata[NAMESPACE]
    return tuple(namespace)


def selection_of(op: SearchOp) -> Selection:
    under: list[Filter] = [Equals((NAMESPACE, str(place)), label) for place, label in enumerate(op.namespace_prefix)]
    meant = filters.meant(("value",), op.filter or {})
    searched: list[Filter] = [Equals(("searchable",), value=True)] if op.query else []
    return Selection(metadata=Every((Exists((NAMESPACE,)), *under, *meant, *searched)))


def namespaces_of(op: ListNamespacesOp) -> Selection:
    """Items under the prefixes that it names; the rest of its conditions is for `listed`."""
    under: list[Filter] = [
        Equals((NAMESPACE, str(place)), label)
        for condition in op.match_conditions or ()
        if condition.match_type == "prefix"
        for place, label in enumerate(condition.path)
        if label != "*"
    ]
    return Selection(metadata=Every((Exists((NAMESPACE,)), *under)))


def askable(query: str | None) -> str | None:
    """As much of it as a search takes, to a word's end where one is near; what no text of ours can have is left out."""
    if query is None:
        return None
    text = query.encode(errors="ignore").decode().replace("\0", "")
    whole_words = _WHOLE_WORDS.match(text)
    return text if len(text) <= LONGEST_QUERY else whole_words[0] if whole_words else text[:LONGEST_QUERY]


def listed(
    namespaces: Iterable[Any], conditions: Sequence[MatchCondition], max_depth: int | None
) -> list[tuple[str, ...]]:
    """Those that match, of what metadata have as namespaces."""
    every = map(tuple, namespaces)
    matching = {each for each in every if all(_matches(each, condition) for condition in conditions)}
    return sorted({each[:max_depth] for each in matching})


def _metadata(op: PutOp, now: datetime, *, searchable: bool) -> dict[str, Any]:
    return {
        NAMESPACE: list(op.namespace),
        "key": op.key,
        "value": dict(op.value or {}),
        "searchable": searchable,
        "ttl": op.ttl,
        _UPDATED: now.isoformat(),
    }


def _parts(memory: Memory) -> dict[str, Any]:
    metadata: Mapping[str, Any] = memory.metadata
    return {
        "namespace": namespace_of(memory),
        "key": metadata["key"],
        "value": dict(metadata["value"]),
        "created_at": memory.created_at,
        "updated_at": updated_at(memory),
    }


def _indexed_text(op: PutOp, default_paths: Sequence[str]) -> str:
    if op.index is False:
        return ""
    paths = default_paths if op.index is None else op.index
    tokenized = (path if path == "$" else tokenize_path(path) for path in paths)
    return "\n".join(text for path in tokenized for text in get_text_at_path(op.value, path))


def _matches(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    kind: Literal["prefix", "suffix"] = condition.match_type
    if len(namespace) < len(condition.path):
        return False
    return all(wanted in {"*", label} for label, wanted in _pairs(namespace, condition.path, kind))


def _pairs(
    namespace: tuple[str, ...], path: Sequence[str], kind: Literal["prefix", "suffix"]
) -> Iterator[tuple[str, str]]:
    if kind == "prefix":
        return zip(namespace, path, strict=False)
    return zip(reversed(namespace), reversed(path), strict=False)
