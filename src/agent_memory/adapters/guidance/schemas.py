"""JSON schemas, read more narrowly than they are written: what keeps to the narrower one keeps to both."""

import json
from collections.abc import Mapping
from typing import Any

_OPEN = (
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "minProperties",
    "$ref",
    "anyOf",
    "oneOf",
)
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "prefixItems")


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Objects have no properties but those that are named, where it is not said whether they may: a model that likes to
    add some would never come to an end. Parts that are put together (`allOf`) stay as they are.
    """
    return dict(schema) if '"allOf"' in json.dumps(schema) else _closed(schema)


def _closed(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    narrow = dict(schema)
    for name in _MAPS:
        if isinstance(inner := schema.get(name), Mapping):
            narrow[name] = {key: _closed(each) for key, each in inner.items()}
    for name in ("items", "additionalProperties"):
        if name in schema:
            narrow[name] = _closed(schema[name])
    for name in _LISTS:
        # beside properties of its own, these say more about the same object
        if isinstance(inner := schema.get(name), list) and "properties" not in schema:
            narrow[name] = [_closed(each) for each in inner]
    named, required = schema.get("properties"), schema.get("required", [])
    whole = isinstance(named, Mapping) and isinstance(required, list) and all(name in named for name in required)
    if whole and not any(name in schema for name in _OPEN):
        narrow["additionalProperties"] = False
    return narrow


def without_patterns(schema: Any) -> Any:
    """The same schema, but of strings any that are long enough. Wider, not narrower."""
    if isinstance(schema, list):
        return [without_patterns(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: each for name, each in schema.items() if name != "pattern" or not isinstance(each, str)}
    return {name: without_patterns(each) for name, each in kept.items()}
