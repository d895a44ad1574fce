"""A filter of LangGraph's as a condition on metadata: it finds what LangGraph's own in-memory store would find.

What is not there is None; `{"x": {}}` asks for an object; a list names the condition of each of its places. Only where
that store breaks or takes one thing for another, this one does not: numbers are in order with numbers, texts with
texts, and `true` is not 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import check_document
from agent_memory.domain.semantic.filters import Compares, Equals, Every, Exists, Filter, IsObject, Not, Order, Some

_ORDERS = {"$lt": Order.LESS, "$lte": Order.AT_MOST, "$gt": Order.GREATER, "$gte": Order.AT_LEAST}


def meant(path: tuple[str, ...], filter_: Mapping[str, Any]) -> Iterator[Filter]:
    """What the filter asks of the document at the path. Raises InvalidInput for what is no filter."""
    check_document("filter", filter_)
    for name, value in filter_.items():
        yield _condition((*path, name), value)


def _condition(path: tuple[str, ...], value: Any) -> Filter:
    if isinstance(value, dict):
        if any(name.startswith("$") for name in value):
            return Every(tuple(_operated(path, name, operand) for name, operand in value.items()))
        return Every((IsObject(path), *(_condition((*path, name), inner) for name, inner in value.items())))
    if isinstance(value, list | tuple) and _holds_conditions(value):
        return _list(path, value)
    return _equal(path, value)


def _equal(path: tuple[str, ...], value: Any) -> Filter:
    return Some((Not(Exists(path)), Equals(path, None))) if value is None else Equals(path, value)


def _list(path: tuple[str, ...], values: Sequence[Any]) -> Filter:
    as_long = (Exists((*path, str(len(values) - 1))), Not(Exists((*path, str(len(values))))))
    places = (_condition((*path, str(place)), value) for place, value in enumerate(values))
    return Every((Not(IsObject(path)), *as_long, *places))


def _holds_conditions(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(map(_holds_conditions, value)))


def _operated(path: tuple[str, ...], name: str, operand: Any) -> Filter:
    if name == "$eq":
        return _equal(path, operand)
    if name == "$ne":
        return Not(_equal(path, operand))
    if name in _ORDERS and isinstance(operand, str | int | float) and not isinstance(operand, bool):
        return Compares(path, _ORDERS[name], operand)
    raise InvalidInput("filter", f"{name!r} is no operator, or not with this value")
