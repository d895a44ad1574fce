"""JSON inside a request that is not read here, such as a tool's schema: as text, for those who read it."""

from collections.abc import Mapping
from typing import Any

from msgspec import json

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.diagnosis import DEEPEST


def written(field: str, value: Mapping[str, Any]) -> str:
    """Raises InvalidInput for what is nested deeper than its readers, which recur, could follow."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
    if level:
        raise InvalidInput(field, f"is nested more than {DEEPEST} levels deep")
    return json.encode(value).decode()


def _inside(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []
