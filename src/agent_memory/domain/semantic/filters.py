r"""Conditions on a memory's metadata: a small language, as values that any store can read.

    {"city": "Oslo"}   {"age": {"gte": 18, "lt": 65}}   {"city": {"in": ["Oslo", "Lima"]}}   {"pet": {"exists": true}}
    {"and": [...]}     {"or": [...]}                    {"not": {...}}                     {"pets.0": {"ne": "Rex"}}
    {"\"a.b\".c": 1}   {"\"not\"": true}

A key reaches inwards by dots. A name in double quotes is taken as it is, dots and all, and is never `and`, `or` or
`not`; a quote or backslash in it has a backslash before it. Only in quotes may a key begin with `$`, or be `AND` or
`Or`: who writes so means what another language has, and would select what nobody asked for.
Numbers compare with numbers and texts with texts, by code point; what cannot be compared does not match.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Any

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import Document, Json, check_document


class Order(StrEnum):
    LESS = "lt"
    AT_MOST = "lte"
    GREATER = "gt"
    AT_LEAST = "gte"


@dataclass(frozen=True, slots=True)
class Equals:
    path: tuple[str, ...]
    value: Json


@dataclass(frozen=True, slots=True)
class Among:
    """Equals one of these; what they are compared by is made once, not for each document."""

    path: tuple[str, ...]
    values: tuple[Json, ...]
    identities: frozenset[object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identities", frozenset(map(_identity, self.values)))


@dataclass(frozen=True, slots=True)
class Compares:
    path: tuple[str, ...]
    order: Order
    value: str | float


@dataclass(frozen=True, slots=True)
class Exists:
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsObject:
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Filter"


Filter = Equals | Among | Compares | Exists | IsObject | Every | Some | Not

_ORDERS: Mapping[Order, Callable[[Any, Any], bool]] = {
    Order.LESS: lt, Order.AT_MOST: le, Order.GREATER: gt, Order.AT_LEAST: ge,
}  # fmt: skip
_CONNECTIVES = ("and", "or", "not")
_CONDITIONS = ("eq", "ne", "in", "lt", "lte", "gt", "gte", "exists")
_ABSENT = object()
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\.|\Z)|[^.]*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLACE = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]{1,9}")


def parse_filter(document: Document) -> Filter:
    check_document("filter", document)
    return _every([_clause(key, value) for key, value in document.items()])


def matches(condition: Filter, document: Document) -> bool:
    match condition:
        case Equals(path, value):
            return _same(_found(document, path), value)
        case Among(path):
            return _identity(_found(document, path)) in condition.identities
        case Compares(path, order, value):
            found = _found(document, path)
            return _comparable(found, value) and _ORDERS[order](_exact(found), _exact(value))
        case Exists(path):
            return _found(document, path) is not _ABSENT
        case IsObject(path):
            return isinstance(_found(document, path), Mapping)
        case Every(parts):
            return all(matches(part, document) for part in parts)
        case Some(parts):
            return any(matches(part, document) for part in parts)
        case Not(part):
            return not matches(part, document)


def different(path: tuple[str, ...], documents: Iterable[Document]) -> list[Json]:
    """What there is at the path, each value once."""
    values: dict[object, Any] = {}
    for document in documents:
        found = _found(document, path)
        if found is not _ABSENT:
            values.setdefault(_identity(found), found)
    return list(values.values())


def _clause(key: str, value: Json) -> Filter:
    if key in {"and", "or"}:
        parts = tuple(_clause_of(part) for part in _listed(key, value))
        return Every(parts) if key == "and" else Some(parts)
    if key == "not":
        return Not(_clause_of(value))
    _check_means_a_key(key)
    path = tuple(_names(key))
    if not isinstance(value, Mapping):
        return Equals(path, value)
    if not value:
        raise InvalidInput("filter", f"{key!r} has no condition")
    return _every([_condition(path, name, operand) for name, operand in value.items()])


def _check_means_a_key(key: str) -> None:
    meant = key.removeprefix("$").lower()
    if meant in _CONNECTIVES:
        raise InvalidInput("filter", f"{key!r} is no connective: write {meant!r}, or '\"{key}\"' for a key so named")
    if key.startswith("$"):
        raise InvalidInput("filter", f"{key[:40]!r} begins with $: write a name that does so in quotes, as '\"$a\".b'")


def _names(key: str) -> Iterator[str]:
    at = 0
    while at <= len(key):
        found = _NAME.match(key, at)
        assert found is not None  # no name is one, too
        yield found[0] if found[1] is None else _ESCAPED.sub(r"\1", found[1])
        at = found.end() + 1


def _clause_of(value: Json) -> Filter:
    if not isinstance(value, Mapping):
        raise InvalidInput("filter", "'and', 'or' and 'not' take conditions, which are objects")
    return _every([_clause(key, inner) for key, inner in value.items()])


def _condition(path: tuple[str, ...], name: str, operand: Json) -> Filter:
    match name:
        case "eq":
            return Equals(path, operand)
        case "ne":
            return Not(Equals(path, operand))
        case "in":
            return Among(path, tuple(_listed(name, operand)))
        case "exists" if isinstance(operand, bool):
            return Exists(path) if operand else Not(Exists(path))
        case "lt" | "lte" | "gt" | "gte" if isinstance(operand, str | int | float) and not isinstance(operand, bool):
            return Compares(path, Order(name), operand)
    if name in _CONDITIONS:
        takes = "true or false" if name == "exists" else "a number or a text"
        raise InvalidInput("filter", f"{name!r} for {'.'.join(path)!r} takes {takes}")
    raise InvalidInput("filter", f"{name!r} is no condition for {'.'.join(path)!r}: there are {', '.join(_CONDITIONS)}")


def _listed(name: str, value: Json) -> Sequence[Json]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidInput("filter", f"{name!r} takes a list")
    return value


def _every(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _found(document: Json, path: tuple[str, ...]) -> object:
    found: object = document
    for step in path:
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list | tuple) and (place := _place(step, len(found))) is not None:
            found = found[place]
        else:
            return _ABSENT
    return found


def _place(step: str, size: int) -> int | None:
    """A place in a list, from its end if negative, as PostgreSQL reads it."""
    if not _PLACE.fullmatch(step):
        return None
    place = int(step)
    return place % size if -size <= place < size else None


def _exact(value: Any) -> Any:
    """A float as the decimal number that it is written as: so a database has it, and so it was meant."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _comparable(one: object, other: object) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    return isinstance(one, str) == isinstance(other, str) and isinstance(one, str | int | float)


def _identity(value: object) -> object:
    """Equal, and with one hash, for those values that are `_same`."""
    if isinstance(value, Mapping):
        return frozenset((key, _identity(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_identity, value))
    return isinstance(value, bool), _exact(value)


def _same(one: object, other: object) -> bool:
    """As JSON has it: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, str) == isinstance(other, str) and _exact(one) == _exact(other)
