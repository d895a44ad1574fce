"""Memories as resources, which a client may put before a model by itself: recent, profile, stats, one item.

memory://recent where the connection fixes agent and user; otherwise what it leaves open comes first, as in
memory://{agent_id}/{user_id}/recent.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from msgspec import json

from agent_memory.domain.errors import AgentMemoryError, InvalidInput, NotFound
from agent_memory.domain.semantic.memory import Memory, MemoryType
from agent_memory.domain.semantic.selection import Selection
from agent_memory.entrypoints.http.wire import keeping as kept
from agent_memory.entrypoints.mcp.block import block_of, line_of
from agent_memory.entrypoints.mcp.calling import Call
from agent_memory.entrypoints.mcp.errors import plainly
from agent_memory.entrypoints.mcp.scope import Whose

SCHEME = "memory://"
ITEM = "item"
_RECENT, _LASTING = 20, 200  # memories that are looked at
_PROFILE_TOKENS = 2000
_MARKDOWN, _JSON = "text/markdown", "application/json"


@dataclass(frozen=True, slots=True)
class MemoryResource:
    title: str
    description: str
    media_type: str
    read: Callable[[Call, str, str], Awaitable[str]]

    def told(self, name: str) -> dict[str, Any]:
        return {"name": name, "title": self.title, "description": self.description, "mime_type": self.media_type}


async def _recent(call: Call, agent_id: str, user_id: str) -> str:
    page = await call.keeping.list(agent_id=agent_id, user_id=user_id, limit=_RECENT)
    return "\n".join(map(line_of, page.memories))


async def _profile(call: Call, agent_id: str, user_id: str) -> str:
    """What is so and what is done how: the most important first."""
    lasting: list[Memory] = []
    for memory_type in (MemoryType.SEMANTIC, MemoryType.PROCEDURAL):
        page = await call.keeping.list(
            agent_id=agent_id, user_id=user_id, selection=Selection(memory_type=memory_type), limit=_LASTING
        )
        lasting += page.memories
    ranked = sorted(lasting, key=lambda memory: (memory.importance, memory.moment), reverse=True)
    return block_of(ranked, _PROFILE_TOKENS).text


async def _stats(call: Call, agent_id: str, user_id: str) -> str:
    inventory = await call.keeping.inventory(agent_id=agent_id, user_id=user_id)
    return json.encode(kept.from_inventory(inventory)).decode()


RESOURCES: Mapping[str, MemoryResource] = MappingProxyType(
    {
        "recent": MemoryResource("Recent memories", "The 20 newest memories, a line each", _MARKDOWN, _recent),
        "profile": MemoryResource(
            "Profile of the user",
            "Lasting facts and ways of doing things, the most important first",
            _MARKDOWN,
            _profile,
        ),
        "stats": MemoryResource("What is held", "How many memories, of which type and tags, since when", _JSON, _stats),
    }
)


def told_resources(whose: Whose) -> list[Resource]:
    """Those that need nothing more than what the connection fixes."""
    if whose.left_open:
        return []
    return [Resource(uri=SCHEME + name, **resource.told(name)) for name, resource in RESOURCES.items()]


def told_templates(whose: Whose) -> list[ResourceTemplate]:
    before = SCHEME + "".join(f"{{{name}}}/" for name in whose.left_open)
    item = ResourceTemplate(
        uri_template=f"{before}{ITEM}/{{memory_id}}",
        name=ITEM,
        title="One memory",
        description="A memory with everything it carries",
        mime_type=_JSON,
    )
    if not whose.left_open:
        return [item]
    return [ResourceTemplate(uri_template=before + n, **each.told(n)) for n, each in RESOURCES.items()] + [item]


async def read_resource(call: Call, uri: str) -> ReadResourceResult:
    """Raises MCPError: -32602 where there is no such resource."""
    try:
        text, media_type = await _read(call, uri)
    except (InvalidInput, NotFound) as error:
        raise MCPError(code=INVALID_PARAMS, message=str(error), data={"uri": uri}) from None
    except AgentMemoryError as error:
        raise MCPError(code=INTERNAL_ERROR, message=plainly(error), data={"uri": uri}) from None
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, text=text, mime_type=media_type)])


async def _read(call: Call, uri: str) -> tuple[str, str]:
    named, what = _parsed(call.whose, uri)
    match what:
        case [name] if name in RESOURCES:
            await call.admit_search(named["agent_id"])
            resource = RESOURCES[name]
            return await resource.read(call, named["agent_id"], named["user_id"]), resource.media_type
        case [name, memory_id] if name == ITEM:
            memory = await call.keeping.get(memory_id, **named)
            return json.encode(kept.from_memory(memory)).decode(), _JSON
        case _:
            raise NotFound("resource", uri)


def _parsed(whose: Whose, uri: str) -> tuple[dict[str, str], list[str]]:
    """Agent and user, and what of theirs is meant."""
    if not uri.startswith(SCHEME):
        raise NotFound("resource", uri)
    try:
        segments = [unquote(segment, errors="strict") for segment in uri.removeprefix(SCHEME).split("/")]
    except UnicodeDecodeError:
        raise InvalidInput("uri", "is not percent-encoded UTF-8") from None
    count = len(whose.left_open)
    named = {**whose.fixed, **dict(zip(whose.left_open, segments, strict=False))}
    if len(named) < len(whose.fixed) + count:
        raise NotFound("resource", uri)
    return named, segments[count:]
