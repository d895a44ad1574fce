"""What form an answer is to have, in OpenAI's words."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from agent_memory.entrypoints.http.wire.written import written
from agent_memory.ports.language import Grammar


class TextFormat(Struct, tag="text", tag_field="type"):
    pass


class JsonFormat(Struct, tag="json_object", tag_field="type"):
    pass


class JsonSchema(Struct, kw_only=True):
    """`strict` or not, the answer keeps to the schema."""

    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    schema: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    strict: bool | None = None


class SchemaFormat(Struct, tag="json_schema", tag_field="type"):
    json_schema: JsonSchema


ResponseFormat = TextFormat | JsonFormat | SchemaFormat


def to_grammar(wanted: ResponseFormat | None) -> Grammar | None:
    match wanted:
        case SchemaFormat(json_schema):
            name = "response_format.json_schema.schema"
            return Grammar("json_schema", written(name, json_schema.schema), name)
        case JsonFormat():
            return Grammar("json_schema", '{"type": "object"}', field="response_format")
        case _:
            return None
