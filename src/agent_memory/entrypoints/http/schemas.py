"""The schemas of structs in the OpenAPI document, with what Litestar leaves out of them: what a struct says of itself,
bounds that are 0, and the bounds of what a list holds.
"""

from inspect import cleandoc
from typing import Any

from litestar.openapi.spec.schema import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Struct, inspect


class StructSchemas(OpenAPISchemaPlugin):
    """Comes before Litestar's own, asks that, and adds to its answer."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return not field_definition.is_union and field_definition.is_subclass_of(Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        others = (each for each in schema_creator.plugins if isinstance(each, OpenAPISchemaPlugin) and each is not self)
        theirs = next(plugin for plugin in others if plugin.is_plugin_supported_field(field_definition))
        schema: Schema = theirs.to_openapi_schema(field_definition, schema_creator)
        schema.description = _said_of(field_definition.annotation)
        for field in inspect.type_info(field_definition.annotation).fields:  # type: ignore[attr-defined]
            _bound((schema.properties or {})[field.encode_name], field.type)
        return schema


def _said_of(struct: type[Struct]) -> str | None:
    """Its docstring, or that of the nearest struct that it is made of."""
    ours = (kind.__doc__ for kind in struct.__mro__ if issubclass(kind, Struct) and kind is not Struct)
    return next((cleandoc(told) for told in ours if told), None)


def _bound(schema: object, kind: inspect.Type) -> None:
    """A reference has its bounds where it leads. Of several types that a value may have, each is bound by its own."""
    if not isinstance(schema, Schema):
        return
    match kind:
        case inspect.Metadata(type=inner):
            _bound(schema, inner)
        case inspect.UnionType(types=types):
            for one in types:
                _bound(schema, one)
        case inspect.IntType() | inspect.FloatType():
            schema.minimum, schema.exclusive_minimum = kind.ge, kind.gt
            schema.maximum, schema.exclusive_maximum = kind.le, kind.lt
        case inspect.StrType():
            schema.min_length, schema.max_length = kind.min_length, kind.max_length
        case inspect.ListType(item_type=item):
            for each in (schema, *(schema.one_of or ())):
                _bound(each.items if isinstance(each, Schema) else None, item)
