"""What is asked, door by door: each visit is a few requests that belong together. How they are read is not told."""

import json
from collections.abc import Awaitable, Callable
from uuid import uuid4

from benchmarks.doors.client import Answer, Client
from benchmarks.prompts import WORDS

Visit = Callable[[Client], Awaitable[None]]

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
DONE = r"data: \[DONE\]"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER, "strict": True}}
SESSION = {"accept": "application/json, text/event-stream"}
STATELESS = SESSION | {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "search_memories"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "doors", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
SPEAKING = (409,)  # its client has left, its turn has not ended yet
RESPONDED = r"event: response\.(completed|incomplete)"
OPENING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "doors", "version": "1"},
}


def text(client: Client, most: int = 60) -> str:
    """Of so many words; half of them begin alike."""
    begun = "Tell me about the harbour, the market and the three bridges. " * client.dice.randrange(2)
    return begun + " ".join(client.dice.choices(WORDS, k=client.dice.randrange(1, most)))


def messages(client: Client) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are a guide."}, {"role": "user", "content": text(client)}]


def who(client: Client) -> dict[str, str]:
    return {"agent_id": f"agent {client.dice.randrange(10)}", "user_id": f"user {client.dice.randrange(10)}"}


def model(client: Client) -> dict[str, object]:
    return {"model": "default", "max_tokens": client.dice.randrange(1, 33)}


async def chat(client: Client) -> None:
    body = model(client) | {"messages": messages(client)}
    headers = {"X-Agent-ID": who(client)["agent_id"].encode()}
    await client.ask("chat", "/v1/chat/completions", body, whole='"usage"', headers=headers)
    # Twenty alternatives a token: an answer of some size for those who read slowly.
    streamed = body | {"stream": True, "logprobs": True, "top_logprobs": 20}
    await client.ask("chat, streamed", "/v1/chat/completions", streamed, whole=DONE)


async def tools(client: Client) -> None:
    stream = client.dice.random() < 0.5
    body = {"messages": messages(client), "max_tokens": 100, "tools": [TOOL], "tool_choice": "required"}
    whole = DONE if stream else '"usage"'
    await client.ask("chat with tools", "/v1/chat/completions", body | {"stream": stream}, whole=whole)


async def completions(client: Client) -> None:
    stream = client.dice.random() < 0.5
    body = model(client) | {"prompt": text(client), "stream": stream}
    await client.ask("completions", "/v1/completions", body, whole=DONE if stream else '"usage"')


async def embeddings(client: Client) -> None:
    body = {"model": "default", "input": [text(client, 20) for _ in range(client.dice.randrange(1, 5))]}
    await client.ask("embeddings", "/v1/embeddings", body, whole='"usage"')


async def responses(client: Client) -> None:
    body = {"model": "default", "max_output_tokens": client.dice.randrange(16, 33), "input": text(client)}
    first = await client.ask("responses", "/v1/responses", body, whole='"usage"')
    follows = {"previous_response_id": first.json()["id"]} if first else {}
    await client.ask(
        "responses, streamed",
        "/v1/responses",
        body | follows | {"stream": True},
        whole="event: response.(completed|incomplete)",
    )
    if first:
        path = f"/v1/responses/{first.json()['id']}"
        await client.ask("responses, kept", path, whole='"usage"')
        await client.ask("responses, kept", path, method="DELETE")


async def anthropic(client: Client) -> None:
    body = model(client) | {"messages": [{"role": "user", "content": text(client)}], "system": "You are a guide."}
    await client.ask("messages", "/v1/messages", body, whole='"usage"')
    await client.ask("messages, streamed", "/v1/messages", body | {"stream": True}, whole="event: message_stop")
    counted = {name: value for name, value in body.items() if name != "max_tokens"}
    await client.ask("messages, counted", "/v1/messages/count_tokens", counted, whole='"input_tokens"')


async def memories(client: Client) -> None:
    scope = who(client)
    told = {"content": f"{text(client, 20)} {uuid4()}", "tags": ["soak"]}
    kept = await client.ask("memories, kept", "/v1/memories", scope | told, whole='"id"')
    await client.ask("memories, found", "/v1/memories/search", scope | {"query": text(client, 10)}, whole='"total"')
    await client.ask("memories, listed", "/v1/memories/list", scope | {"limit": 200}, whole='"next_cursor"')
    await client.ask("memories, exported", "/v1/memories/export", params=scope)
    if kept:
        path = f"/v1/memories/{kept.json()['id']}"
        await client.ask("memories, forgotten", path, method="DELETE", params={"agent_id": scope["agent_id"]})


def call(tool: str, arguments: dict[str, object], **more: object) -> dict[str, object]:
    params = {"name": tool, "arguments": arguments} | more
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


async def mcp(client: Client) -> None:
    """By itself, and in a session, which the client ends whatever happened in it."""
    scope: dict[str, object] = {**who(client)}
    alone = call("search_memories", scope | {"query": text(client, 10)}, _meta=META)
    await client.ask("MCP", "/mcp", alone, whole='"result"', headers=STATELESS)
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": OPENING}
    opened = await client.ask("MCP session", "/mcp", opening, whole='"result"', headers=SESSION, leaves=False)
    if opened:
        await _in_session(client, scope, opened)


async def _in_session(client: Client, scope: dict[str, object], opened: Answer) -> None:
    named = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    headers = SESSION | named
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await client.ask("MCP session", "/mcp", ready, headers=headers)
    kept = call("store_memory", scope | {"content": f"{text(client, 20)} {uuid4()}"})
    await client.ask("MCP session", "/mcp", kept, whole='"result"', headers=headers)
    await client.ask("MCP session", "/mcp", method="DELETE", headers=headers, leaves=False)


async def agents(client: Client) -> None:
    """Made, forked, carried away and removed; a client that left before the answer removes what there is."""
    name = f"a{uuid4().hex}"
    made = await client.ask("agents", "/v1/agents", {"agent_id": name}, whole='"cache"', leaves=False)
    if not made:
        return
    said = {"prompt": text(client), "max_tokens": 8}
    await client.ask("agents, speaking", f"/v1/agents/{name}/generate", said, whole='"text"')
    await client.ask("agents", f"/v1/agents/{name}/pin", {}, whole='"cache"')
    await client.ask("agents", f"/v1/agents/{name}/unpin", {}, whole='"cache"', leaves=False)
    await client.ask("agents, forked", f"/v1/agents/{name}/fork", {"agent_id": f"{name}f"}, whole='"cache"')
    await client.ask("agents", "/v1/agents", whole='"next_cursor"', params={"limit": 50})
    await client.ask("agents, exported", f"/v1/agents/{name}/export", refusals=SPEAKING)
    await client.ask("agents", f"/v1/agents/{name}", method="DELETE", leaves=False, refusals=SPEAKING)


async def caches(client: Client) -> None:
    await client.ask("caches", "/v1/caches", whole='"disk"')
    await client.ask("caches, explained", "/v1/caches/explain", {"messages": messages(client)}, whole='"cached_tokens"')


VISITS: tuple[Visit, ...] = (
    chat,
    tools,
    completions,
    embeddings,
    responses,
    anthropic,
    memories,
    mcp,
    agents,
    caches,
)

_TAKES_JSON = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/memories",
    "/v1/memories/search",
    "/v1/memories/list",
    "/v1/agents",
    "/v1/caches/explain",
    "/mcp",
)
_BAD = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b'{"messages": 7}',
    b'{"model": "default", "messages": [{"role": "user"',
    b'{"content": "\xff\xfe"}',
    b'{"input": NaN}',
    b"[" * 100_000,
    json.dumps({"messages": [{"role": "wizard", "content": "x"}], "max_tokens": -1}).encode(),
    json.dumps({"unheard of": "x" * 100_000}).encode(),
)
_BROKEN = (
    b"GET\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    b"POST /v1/memories HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n",
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n",
)


async def malformed(client: Client) -> None:
    if client.dice.random() < 0.7:
        await client.ask_badly(client.dice.choice(_TAKES_JSON), client.dice.choice(_BAD))
    else:
        await client.break_off(client.dice.choice(_BROKEN))
