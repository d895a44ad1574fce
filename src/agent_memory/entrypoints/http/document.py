"""The OpenAPI document: what the routes say of themselves, and four things that a route cannot say there: that a
stream is another type of content, a body that is taken as it is, that a body is a file, and the headers of an answer.

It does not say what streams carry: their dialects' own documents do.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Node = dict[str, Any]

_EVENT = {"event": {"type": "string"}, "data": {"type": "string"}}
_STREAM = {"schema": {"type": "object", "properties": _EVENT, "required": ["data"]}}
"""Before OpenAPI 3.2 a stream's schema is that of each of its events."""
_FILE = {"schema": {"type": "string", "format": "binary"}}
_JSON = "application/json"
_SCOPE = {"agent_id": "desk", "user_id": "ada"}
_ASKED = {"model": "default", "messages": [{"role": "user", "content": "What does Ada drink?"}], "max_tokens": 16}

EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "/v1/chat/completions": _ASKED,
    "/v1/completions": {"model": "default", "prompt": "Ada drinks", "max_tokens": 16},
    "/v1/embeddings": {"model": "default", "input": ["Ada drinks tea"]},
    "/v1/responses": {"model": "default", "input": "What does Ada drink?", "max_output_tokens": 16},
    "/v1/messages": _ASKED,
    "/v1/messages/count_tokens": {name: value for name, value in _ASKED.items() if name != "max_tokens"},
    "/v1/memories": {**_SCOPE, "content": "Ada drinks tea", "tags": ["drinks"]},
    "/v1/memories/search": {**_SCOPE, "query": "What does Ada drink?"},
    "/v1/memories/list": {**_SCOPE, "tags": ["drinks"], "limit": 10},
    "/v1/memories/batch": {**_SCOPE, "memories": [{"content": "Ada drinks tea"}, {"content": "Ada has a cat"}]},
    "/v1/memories/condense": _SCOPE,
    "/v1/memories/forget": {**_SCOPE, "tags": ["drinks"], "dry_run": True},
    "/v1/agents/{agent_id}/generate": {"prompt": "What does Ada drink?", "max_tokens": 16},
    "/v1/caches/explain": {"messages": _ASKED["messages"]},
}
"""Bodies that a fresh server answers, by their POST's path."""


FILES: Mapping[str, str] = {
    "/v1/memories/import": "The lines of an export, or the file of another that `source` names. As long as it likes.",
    "/v1/agents/import": "The file that an agent's `export` gave.",
}
"""Whose POST takes a body that no struct is read from, whatever its Content-Type."""

_MEMORY = "/v1/memories/{memory_id}"
HEADERS = (
    ("/v1/memories", "post", "201", "Location"),
    (_MEMORY, "get", "200", "ETag"),
    (_MEMORY, "get", "304", "ETag"),
    (_MEMORY, "patch", "200", "ETag"),
    (f"{_MEMORY}/supersede", "post", "201", "ETag"),
    (f"{_MEMORY}/supersede", "post", "201", "Location"),
)
"""Of which answer of which route, each that is always there."""


def completed(document: Node) -> Node:
    """The document as Litestar writes it, with all there is to say; the given one is changed."""
    for path, operation in _posts(document):
        body: Node = operation.get("requestBody", {}).get("content", {}).get(_JSON, {})
        if path in EXAMPLES:
            body["example"] = EXAMPLES[path]
        if "stream" in _fields(body, document):
            operation["responses"]["200"]["content"]["text/event-stream"] = _STREAM
        if path in FILES:
            content = {"application/octet-stream": _FILE}
            operation["requestBody"] = {"description": FILES[path], "required": True, "content": content}
    for path, method, status, header in HEADERS:
        answer = document["paths"][path][method]["responses"][status]
        answer.setdefault("headers", {})[header] = {"required": True, "schema": {"type": "string"}}
    return document


def _posts(document: Node) -> Iterator[tuple[str, Node]]:
    return ((path, operations["post"]) for path, operations in document["paths"].items() if "post" in operations)


def _fields(body: Node, document: Node) -> Node:
    name = str(body.get("schema", {}).get("$ref", "")).rsplit("/", 1)[-1]
    fields: Node = document["components"]["schemas"].get(name, {}).get("properties", {})
    return fields
