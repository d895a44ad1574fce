"""A `Selection` as SQL that means the same as its `admits` does: every part says yes or no, never NULL."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import assert_never

from psycopg.sql import SQL, Composable, Placeholder
from psycopg.types.json import Jsonb

from agent_memory.domain.semantic.filters import (
    Among,
    Compares,
    Equals,
    Every,
    Exists,
    Filter,
    IsObject,
    Not,
    Order,
    Some,
)
from agent_memory.domain.semantic.selection import Selection

_SIGNS = {
    Order.LESS: SQL("<"), Order.AT_MOST: SQL("<="), Order.GREATER: SQL(">"), Order.AT_LEAST: SQL(">="),
}  # fmt: skip


_HOLDS = SQL("superseded_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)")
# As `Memory.is_summary` has it.
SUMMARY = SQL("(condensing IS NOT DISTINCT FROM 'summary')")
# As `Memory.begins` has it.
BEGINS = SQL("CASE WHEN {summary} THEN created_at ELSE least(created_at, moment) END").format(summary=SUMMARY)
_HELD = SQL("""
(created_at <= %(now)s OR (moment <= %(now)s AND NOT {summary}))
AND (superseded_at IS NULL OR superseded_at > %(now)s) AND (expires_at IS NULL OR expires_at > %(now)s)
""").format(summary=SUMMARY)


def valid(as_of: datetime | None = None) -> Composable:
    """What holds now, or was valid then: the parameter `now` says when that is."""
    return _HOLDS if as_of is None else _HELD


class Conditions:
    """Collects the values of the conditions that it writes, each under a name of its own."""

    def __init__(self) -> None:
        self.parameters: dict[str, object] = {}
        self._names = (f"c{number}" for number in count())

    def selected(self, selection: Selection) -> Composable:
        return SQL(" AND ").join([SQL("true"), *self._parts(selection)])

    def _parts(self, selection: Selection) -> Iterator[Composable]:
        if selection.memory_type is not None:
            yield SQL("memory_type = {}").format(self._value(selection.memory_type.value))
        if selection.tags:
            yield SQL("tags @> {}").format(self._value(sorted(selection.tags)))
        if selection.since is not None:
            yield SQL("moment >= {}").format(self._value(selection.since))
        if selection.until is not None:
            yield SQL("moment < {}").format(self._value(selection.until))
        if selection.not_kept is not None:
            after, until = map(self._value, selection.not_kept)
            yield SQL("NOT (created_at > {} AND created_at <= {})").format(after, until)
        if selection.metadata is not None:
            yield self._matching(selection.metadata)

    def _matching(self, condition: Filter) -> Composable:
        match condition:
            case Equals(path, value):
                return SQL("coalesce({} = {}, false)").format(self._found(path), self._value(Jsonb(value)))
            case Among(path, values):
                # One comparison with them all, of which the database makes a hash: an OR of thousands takes seconds.
                any_of = self._value([Jsonb(value) for value in values])
                return SQL("coalesce({} = ANY({}::jsonb[]), false)").format(self._found(path), any_of)
            case Compares():
                return self._comparing(condition)
            case Exists(path):
                return SQL("{} IS NOT NULL").format(self._found(path))
            case IsObject(path):
                return SQL("coalesce(jsonb_typeof({}) = 'object', false)").format(self._found(path))
            case Every(parts):
                return SQL("({})").format(SQL(" AND ").join([SQL("true"), *map(self._matching, parts)]))
            case Some(parts):
                return SQL("({})").format(SQL(" OR ").join([SQL("false"), *map(self._matching, parts)]))
            case Not(part):
                return SQL("NOT {}").format(self._matching(part))
            case _:
                assert_never(condition)

    def _comparing(self, condition: Compares) -> Composable:
        # Within one type jsonb orders numbers by value; texts it orders by the database's collation, so not those.
        found, sign, value = self._found(condition.path), _SIGNS[condition.order], condition.value
        if isinstance(value, str):
            text = SQL("metadata #>> {}").format(self._value(list(condition.path)))
            holds = SQL('({}) COLLATE "C" {} {}').format(text, sign, self._value(value))
            return SQL("(CASE jsonb_typeof({}) WHEN 'string' THEN {} ELSE false END)").format(found, holds)
        holds = SQL("{} {} {}").format(found, sign, self._value(Jsonb(value)))
        return SQL("(CASE jsonb_typeof({}) WHEN 'number' THEN {} ELSE false END)").format(found, holds)

    def _found(self, path: tuple[str, ...]) -> Composable:
        return SQL("(metadata #> {})").format(self._value(list(path)))

    def _value(self, value: object) -> Placeholder:
        name = next(self._names)
        self.parameters[name] = value
        return Placeholder(name)
