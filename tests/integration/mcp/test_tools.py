"""Every tool, over in-memory parts and over PostgreSQL, as clients of both eras meet them."""

from uuid import uuid4

import pytest
from mcp_clients import done, refusal

from agent_memory.entrypoints.mcp.tools import TOOLS

pytestmark = pytest.mark.integration


async def test_what_is_stored_is_found(connected, who):
    async with connected() as client:
        stored = await done(client, "store_memory", **who, content="Ada moved to Lisbon.", tags=["home"])
        assert stored["added"] is True
        assert stored["memory"]["memory_type"] == "episodic"
        assert stored["memory"]["importance"] == 1.0
        found = await done(client, "search_memories", **who, query="Where is Lisbon?")
        assert [each["id"] for each in found["results"]] == [stored["memory"]["id"]]
        assert (await done(client, "count_memories", **who))["count"] == 1


async def test_the_text_beside_a_structured_answer_says_the_same(connected, who):
    async with connected() as client:
        stored = await client.call_tool("store_memory", {**who, "content": "Ada moved to Lisbon."})
        name = stored.structured_content["memory"]["id"]
        assert stored.content[0].text == f"Stored: {name}"
        found = await client.call_tool("search_memories", {**who, "query": "Lisbon"})
        assert found.content[0].text.startswith(f"[{name}] ")
        assert found.content[0].text.endswith("episodic: Ada moved to Lisbon.")
        none = await client.call_tool("search_memories", {**who, "user_id": "bob", "query": "Lisbon"})
        assert none.content[0].text == "Nothing is known about that."


async def test_every_tool_answers_by_its_own_schema(connected, who):
    """The client holds each structured answer against the schema that it was told."""
    async with connected() as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS.keys()
        one = (await done(client, "store_memory", **who, content="Ada sings.", metadata={"a": [1, None]}))["memory"]
        it = {"agent_id": who["agent_id"], "memory_id": one["id"]}
        assert (await done(client, "get_memory", **it))["metadata"] == {"a": [1, None]}
        assert (await done(client, "list_memories", **who))["memories"][0]["id"] == one["id"]
        assert (await done(client, "memory_context", **who, query="sings"))["memories"] == 1
        assert (await done(client, "update_memory", **it, content="Ada sang."))["version"] == 2
        history = await done(client, "memory_history", **it)
        assert [version["content"] for version in history["versions"]] == ["Ada sang.", "Ada sings."]
        assert history["versions"][0]["updated_at"] > history["versions"][1]["updated_at"] == one["created_at"]
        assert (await done(client, "delete_memory", **it))["deleted"] == 1
        assert "search_memories" in await refusal(client, "get_memory", **it)


async def test_a_list_goes_on_where_it_ended(connected, who):
    async with connected() as client:
        for number in range(5):
            await done(client, "store_memory", **who, content=f"fact number {number}")
        contents, cursor = [], {}
        while True:
            page = await done(client, "list_memories", **who, limit=2, **cursor)
            contents += [each["content"] for each in page["memories"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert contents == [f"fact number {number}" for number in reversed(range(5))]


async def test_a_context_keeps_to_its_budget(connected, who):
    async with connected() as client:
        for number in range(30):
            await done(
                client, "store_memory", **who, content=f"Ada knows the street number {number} of Lisbon by heart."
            )
        for query in ({"query": "Lisbon"}, {}):
            block = await done(client, "memory_context", **who, **query, max_tokens=100)
            assert 0 < block["tokens"] <= 100
            assert block["memories"] == len(block["context"].splitlines()) > 1


async def test_an_update_may_ask_for_a_version(connected, who):
    async with connected() as client:
        stored = (await done(client, "store_memory", **who, content="Ada rents."))["memory"]
        it = {"agent_id": who["agent_id"], "memory_id": stored["id"]}
        await done(client, "update_memory", **it, importance=2, version=1)
        told = await refusal(client, "update_memory", **it, content="Ada owns.", version=1)
        assert "at version 2, not 1" in told
        assert (await done(client, "get_memory", **it))["content"] == "Ada rents."


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("store_memory", {"content": "x" * 8001}, "content: expected str of length <= 8000"),
        ("store_memory", {"content": ""}, "content: expected str of length >= 1"),
        ("store_memory", {"content": "a\0b"}, "content: has a NUL character at position 1"),
        ("store_memory", {"content": "a\ud800"}, "content: has a lone surrogate at position 1"),
        ("store_memory", {"content": 7}, "content: expected str, got int"),
        ("store_memory", {}, "content: is required"),
        ("store_memory", {"content": "a", "agent_id": "x" * 129}, "agent_id: expected str of length <= 128"),
        ("store_memory", {"content": "a", "importance": 2.5}, "importance: expected float <= 2"),
        ("store_memory", {"content": "a", "memory_type": "vague"}, "memory_type: invalid enum value 'vague'; allowed"),
        ("store_memory", {"content": "a", "tags": ["x" * 65]}, "tags[0]: expected str of length <= 64"),
        ("store_memory", {"content": "a", "event_time": "2026-01-01T00:00:00"}, "event_time: "),
        ("store_memory", {"content": "a", "mood": "calm"}, "mood: unknown field"),
        ("search_memories", {"query": "x" * 2001}, "query: expected str of length <= 2000"),
        ("search_memories", {"query": "a", "top_k": 51}, "top_k: expected int <= 50"),
        ("search_memories", {"query": "a", "alpha": 1.5}, "alpha: expected float <= 1"),
        ("search_memories", {"query": "a", "cursor": "none of ours"}, "cursor: is none that we gave"),
        ("search_memories", {"query": "a", "filter": {"a": {"near": 1}}}, "filter"),
        ("list_memories", {"limit": 201}, "limit: expected int <= 200"),
        ("get_memory", {"memory_id": "nope"}, "memory_id: must be a UUID, is 'nope'"),
        ("get_memory", {"memory_id": str(uuid4())}, "no memory "),
        ("memory_history", {"memory_id": str(uuid4())}, "no memory "),
        ("update_memory", {"memory_id": str(uuid4()), "content": "a"}, "no memory "),
        ("delete_memory", {"memory_id": "nope"}, "memory_id: must be a UUID"),
        ("delete_memory", {"memory_ids": ["nope"]}, "memory_ids[0]: must be a UUID"),
        ("delete_memory", {"memory_ids": []}, "memory_ids: expected array of length >= 1"),
        ("delete_memory", {}, "memory_id: give exactly one of memory_id, memory_ids and where"),
        ("delete_memory", {"memory_id": str(uuid4()), "where": {}}, "memory_id: give exactly one of"),
        ("memory_context", {"max_tokens": 1}, "max_tokens: expected int >= 16"),
        ("forget_everything", {}, "name: there is no tool 'forget_everything'; there are store_memory, "),
    ],
)
async def test_what_is_wrong_is_told_by_name_and_limit(connected, who, tool, arguments, told):
    given = who if tool in {"store_memory", "search_memories", "list_memories", "memory_context"} else {
        "agent_id": who["agent_id"]
    }  # fmt: skip
    async with connected() as client:
        assert told in await refusal(client, tool, **{**given, **arguments})
        assert (await done(client, "count_memories", **who))["count"] == 0


async def test_a_fixed_scope_cannot_be_left(connected, who):
    bob = who | {"user_id": "bob"}
    async with connected() as anybody, connected(**who) as ada:
        of_bob = (await done(anybody, "store_memory", **bob, content="Bob likes tea."))["memory"]["id"]
        of_ada = (await done(ada, "store_memory", content="Ada likes tea."))["memory"]["id"]
        assert [each["id"] for each in (await done(ada, "search_memories", query="tea"))["results"]] == [of_ada]
        for tool, more in (("get_memory", {}), ("memory_history", {}), ("update_memory", {"content": "Mine."})):
            assert "no memory" in await refusal(ada, tool, memory_id=of_bob, **more)
        assert "no memory" in await refusal(ada, "delete_memory", memory_id=of_bob)
        assert "user_id: is fixed by this connection" in await refusal(ada, "count_memories", user_id="bob")
        assert (await done(ada, "count_memories", user_id="ada"))["count"] == 1
        assert (await done(anybody, "count_memories", **bob))["count"] == 1
