"""The API for people: one page written out from the OpenAPI document, without scripts or foreign hosts."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from litestar.openapi.plugins import OpenAPIRenderPlugin

from agent_memory.entrypoints.http.given import AnyRequest

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; color: #222 }
code { font-family: ui-monospace, monospace; font-size: .95em }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; font-size: 1.2rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
td, th { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #eee }
.method { background: #245; color: #fff; border-radius: 4px; padding: .1rem .5rem; font-size: .85em }
"""

Schema = Mapping[str, Any]


class DocsPage(OpenAPIRenderPlugin):
    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        del request
        return "".join(_page(openapi_schema)).encode()


def _page(document: Schema) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    yield f"<h1>{title} <small>{escape(document['info']['version'])}</small></h1>"
    yield f"<p>{escape(document['info'].get('description', ''))}</p>"
    yield "<p>The same for machines: <a href=/openapi.json>/openapi.json</a></p>"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(method, path, operation, document)
    yield "<h2>Shapes</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield from _struct(escape(name), schema, document)


def _operation(method: str, path: str, operation: Schema, document: Schema) -> Iterator[str]:
    yield f"<h2><span class=method>{method.upper()}</span> <code>{escape(path)}</code></h2>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        yield from _table("Parameters", ((p["name"], p["schema"], p.get("required")) for p in parameters))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _struct("Body", content["schema"], document)
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            if status.startswith("2"):
                yield from _struct(f"Answer {status}", content.get("schema", {}), document)


def _struct(title: str, schema: Schema, document: Schema) -> Iterator[str]:
    struct = _resolved(schema, document)
    required = struct.get("required", ())
    rows = ((name, each, name in required) for name, each in struct.get("properties", {}).items())
    if told := struct.get("description"):
        yield f"<p><b>{title}</b>: {escape(told)}</p>"
    yield from _table(title, rows)


def _table(title: str, rows: Any) -> Iterator[str]:
    yield f"<table><tr><th>{title}</th><th>type</th><th></th></tr>"
    for name, schema, required in rows:
        need = "required" if required else ""
        yield f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(schema))}</td><td>{need}</td></tr>"
    yield "</table>"


def _resolved(schema: Schema, document: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found


def _type(schema: Schema) -> str:
    limits = [f"{name} {schema[name]:g}" for name in _LIMITS if name in schema]
    return f"{_kind(schema)} ({', '.join(limits)})" if limits else _kind(schema)


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "oneOf" in schema or "anyOf" in schema:
        return " or ".join(_type(each) for each in schema.get("oneOf") or schema["anyOf"])
    if "enum" in schema:
        return " | ".join("null" if value is None else str(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kinds = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


_LIMITS = ("minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
