"""JSON Schema (2020-12) of what tools take and answer, made from the structs that read and write it."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

Schema = dict[str, Any]


def arguments_schema(kind: type[Struct], fixed: Collection[str] = ()) -> Schema:
    """Without the arguments that are fixed: a model need not know of them."""
    schema = cast("Schema", _without_null(_rooted(kind)))
    schema["properties"] = {name: each for name, each in schema["properties"].items() if name not in fixed}
    schema["required"] = [name for name in schema.get("required", ()) if name not in fixed]
    return {**schema, "additionalProperties": False}


def answer_schema(kind: type[Struct]) -> Schema:
    return _rooted(kind)


def _without_null(schema: object) -> object:
    """What may be left out may be null as well; that need not be told, for every word costs a model something."""
    match schema:
        case {"anyOf": [wanted, {"type": "null"}], "default": None, **rest}:
            return _without_null({**wanted, **rest})
        case Mapping():
            return {name: _without_null(each) for name, each in schema.items()}
        case list():
            return [_without_null(each) for each in schema]
        case _:
            return schema


def _rooted(kind: type[Struct]) -> Schema:
    """An object at the root, as MCP asks for, and no references, which not every client follows."""
    [root], definitions = msgspec.json.schema_components([kind], ref_template="{name}")
    return cast("Schema", _plain(root, definitions))


def _plain(schema: object, definitions: Mapping[str, Schema]) -> object:
    """Without the names and notes of our classes, which are for people who read the code."""
    match schema:
        case {"$ref": name}:
            definition = {key: each for key, each in definitions[name].items() if key not in {"title", "description"}}
            return _plain(definition, definitions)
        case Mapping():
            return {name: _plain(each, definitions) for name, each in schema.items()}
        case list():
            return [_plain(each, definitions) for each in schema]
        case _:
            return schema
