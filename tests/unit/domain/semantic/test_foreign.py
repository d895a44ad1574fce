import json
from datetime import UTC, datetime

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.foreign import lines_of_mcp, lines_of_mem0
from agent_memory.domain.semantic.jsonl import entry_of
from agent_memory.domain.semantic.memory import MemoryType, Scope

SCOPE = Scope("agent", "user")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MEM0 = {
    "results": [
        {
            "id": "8f6f1c5e-3b0b-4a53-9a38-0e1cf7a1d0c5", "memory": "Likes tea", "user_id": "ada",
            "created_at": "2025-07-01T10:00:00.5-07:00", "metadata": {"source": "chat"}, "categories": ["food"],
        },
        {"id": "not a uuid", "memory": "Plays the cello", "created_at": None},
    ]
}  # fmt: skip
MCP = """
{"type": "entity", "name": "Ada", "entityType": "person", "observations": ["lives in Oslo", "plays the cello"]}
{"type": "relation", "from": "Ada", "to": "Bob", "relationType": "knows"}
"""


def memories(lines):
    return [entry_of(line, "default")[0] for line in lines]


def test_mem0_keeps_ids_times_and_scopes():
    first, second = memories(lines_of_mem0(json.dumps(MEM0), SCOPE, NOW))
    assert (str(first.id), first.scope) == (MEM0["results"][0]["id"], Scope("agent", "ada"))
    assert first.created_at.isoformat() == "2025-07-01T10:00:00.500000-07:00"
    assert (first.tags, first.metadata) == ({"food"}, {"source": "chat"})
    assert (second.scope, second.created_at) == (SCOPE, NOW)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_mcp_texts_may_hold_what_ends_a_line_elsewhere(end):
    line = json.dumps({"type": "entity", "name": "Ada", "observations": [f"a{end}b"]}, ensure_ascii=False)
    [memory] = memories(lines_of_mcp(f"{line}\r\n", SCOPE, NOW))
    assert memory.content == f"Ada: a{end}b"


def test_mem0_may_be_a_plain_list():
    assert len(memories(lines_of_mem0(json.dumps(MEM0["results"]), SCOPE, NOW))) == 2


def test_the_mcp_server_tells_what_is_so():
    told = memories(lines_of_mcp(MCP, SCOPE, NOW))
    assert [memory.content for memory in told] == ["Ada: lives in Oslo", "Ada: plays the cello", "Ada knows Bob"]
    assert {memory.memory_type for memory in told} == {MemoryType.SEMANTIC}
    assert told[0].metadata == {"entity": "Ada", "entity_type": "person"}


def test_coming_in_twice_gives_the_same_ids():
    for read, text in ((lines_of_mcp, MCP), (lines_of_mem0, json.dumps(MEM0))):
        assert list(read(text, SCOPE, NOW)) == list(read(text, SCOPE, NOW))


@pytest.mark.parametrize("wrong", ["", "{}", "5", '{"results": [5]}', '[{"memory": 5}]', "nonsense"])
def test_what_is_no_export_of_mem0_is_refused(wrong):
    with pytest.raises(InvalidInput, match="document"):
        list(lines_of_mem0(wrong, SCOPE, NOW))


@pytest.mark.parametrize("wrong", ["{}", "5", '{"type": "odd"}', '{"type": "entity"}', "nonsense", '{"type": []}'])
def test_what_is_no_file_of_the_mcp_server_is_refused(wrong):
    with pytest.raises(InvalidInput, match="document"):
        list(lines_of_mcp(wrong, SCOPE, NOW))
