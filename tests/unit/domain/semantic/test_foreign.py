import json
import math
from datetime import UTC, datetime

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.foreign import document_of_mem0, entries_of_mem0, lines_of_mcp, lines_of_mem0
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


def mem0(document):
    read = document_of_mem0().read(document, last=True)
    return [line for entry in read for each in entries_of_mem0(entry) for line in lines_of_mem0(each, SCOPE, NOW)]


def mcp(document):
    return [line for told in document.split("\n") for line in lines_of_mcp(told, SCOPE, NOW)]


def memories(lines):
    return [entry_of(line, "default")[0] for line in lines]


def test_mem0_keeps_ids_times_and_scopes():
    first, second = memories(mem0(json.dumps(MEM0)))
    assert (str(first.id), first.scope) == (MEM0["results"][0]["id"], Scope("agent", "ada"))
    assert first.created_at.isoformat() == "2025-07-01T17:00:00.500000+00:00"
    assert (first.tags, first.metadata) == ({"food"}, {"source": "chat"})
    assert (second.scope, second.created_at) == (SCOPE, NOW)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_mcp_texts_may_hold_what_ends_a_line_elsewhere(end):
    line = json.dumps({"type": "entity", "name": "Ada", "observations": [f"a{end}b"]}, ensure_ascii=False)
    [memory] = memories(mcp(f"{line}\r\n"))
    assert memory.content == f"Ada: a{end}b"


def test_mem0_may_be_a_plain_list():
    assert len(memories(mem0(json.dumps(MEM0["results"])))) == 2


@pytest.mark.parametrize(
    ("told", "end"),
    [
        ("2025-08-31", "2025-08-31T23:59:59.999999+00:00"),
        ("9999-12-31", "9999-12-31T23:59:59.999999+00:00"),
        ("2025-08-31T10:00:00", "2025-08-31T10:00:00+00:00"),
        ("2025-08-31T10:00:00-07:00", "2025-08-31T17:00:00+00:00"),
    ],
)
def test_mem0_keeps_until_when_a_memory_holds(told, end):
    """A day is the last one on which it does, in UTC."""
    [memory] = memories(mem0(json.dumps([{"memory": "x", "expiration_date": told}])))
    assert memory.expires_at.isoformat() == end
    [memory] = memories(mem0(json.dumps([{"memory": "x", "expiration_date": None}])))
    assert memory.expires_at is None


def test_mem0_keeps_what_has_no_field_of_ours_beside_the_metadata():
    told = {"run_id": "r1", "actor_id": "a", "role": "user", "app_id": None, "hash": "h"}
    [memory] = memories(mem0(json.dumps([{"memory": "x", **told, "metadata": {"source": "chat", "role": "guide"}}])))
    assert memory.metadata == {
        "run_id": "r1", "actor_id": "a", "role": "guide", "source": "chat",
    }  # fmt: skip


def test_mem0_keeps_what_it_has_found_out_of_a_memory():
    told = {
        "structured_attributes": {"day": 4, "day_of_week": "tuesday", "is_weekend": False}, "attributed_to": "user",
        "immutable": True, "memory_type": "procedural_memory", "owner": "dev", "organization": "acme",
    }  # fmt: skip
    left = {"score": 0.4, "hash": "h", "entities": [{"name": "Ada"}], "relations": [{"source": "Ada"}]}
    [memory] = memories(mem0(json.dumps([{"memory": "x", **told, **left}])))
    assert memory.metadata == told
    nothing = {"structured_attributes": {}, "immutable": False, "memory_type": None, "owner": ""}
    [memory] = memories(mem0(json.dumps([{"memory": "x", **nothing}])))
    assert memory.metadata == {}


def test_mem0_may_be_written_by_its_client_for_typescript():
    entry = {
        "id": MEM0["results"][0]["id"], "memory": "Likes tea", "userId": "ada", "agentId": "guide", "runId": "r1",
        "createdAt": "2025-07-01T10:00:00Z", "expirationDate": "2025-08-31", "structuredAttributes": {"dayOfWeek": 2},
        "metadata": {"myOwn": 1},
    }  # fmt: skip
    [memory] = memories(mem0(json.dumps([entry])))
    assert (memory.scope, memory.created_at) == (Scope("guide", "ada"), datetime(2025, 7, 1, 10, tzinfo=UTC))
    assert memory.expires_at.isoformat() == "2025-08-31T23:59:59.999999+00:00"
    assert memory.metadata == {"run_id": "r1", "structured_attributes": {"dayOfWeek": 2}, "myOwn": 1}
    [memory] = memories(mem0(json.dumps([{"memory": "x", "user_id": "bob", "userId": "ada"}])))
    assert memory.scope.user_id == "bob"


@pytest.mark.parametrize(
    ("created_at", "updated_at", "expected"),
    [
        ("2025-07-01", "2025-07-02", ("2025-07-01", "2025-07-02")),
        ("2025-07-02", "2025-07-01", ("2025-07-02", "2025-07-02")),
        ("2025-07-01", None, ("2025-07-01", "2025-07-01")),
        (None, "2025-07-02", ("2025-07-02", "2025-07-02")),  # no later than that it was kept
    ],
)
def test_mem0_keeps_since_when_a_memory_says_what_it_says(created_at, updated_at, expected):
    [memory] = memories(mem0(json.dumps([{"memory": "x", "created_at": created_at, "updated_at": updated_at}])))
    assert (memory.created_at.date().isoformat(), memory.updated_at.date().isoformat()) == expected
    assert memory.metadata == {}


def test_mem0_may_be_a_list_of_pages():
    one, other = MEM0["results"]
    pages = [{"results": [one]}, {"count": 1, "next": None, "memories": [other]}, {"results": []}]
    assert mem0(json.dumps(pages)) == mem0(json.dumps(MEM0))
    [memory] = memories(mem0(json.dumps([{"memory": "x", "results": []}])))
    assert memory.content == "x"


@pytest.mark.parametrize("told", [1721983481, 1721983481.0, 1721983481000])
def test_mem0_may_tell_moments_as_seconds_or_milliseconds(told):
    entry = {"memory": "x", "created_at": told, "updated_at": told, "expiration_date": told}
    [memory] = memories(mem0(json.dumps([entry])))
    assert memory.created_at == memory.updated_at == memory.expires_at == datetime(2024, 7, 26, 8, 44, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("categories", "tags"), [(["a", "", "x" * 65, "a"], {"a"}), (["x" * 64], {"x" * 64}), ([], ())]
)
def test_a_category_that_no_tag_can_be_keeps_no_memory_out(categories, tags):
    [memory] = memories(mem0(json.dumps([{"memory": "x", "categories": categories}])))
    assert memory.tags == frozenset(tags)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"memory_type": "procedural_memory"}, "procedural"), ({"memoryType": "semantic_memory"}, "semantic"),
        ({"metadata": {"memory_type": "procedural_memory"}}, "procedural"), ({"memory_type": "odd"}, "episodic"),
        ({"metadata": {"memory_type": ["odd"]}}, "episodic"), ({}, "episodic"),
    ],
)  # fmt: skip
def test_mem0_tells_of_which_type_a_memory_is(told, kind):
    [memory] = memories(mem0(json.dumps([{"memory": "x", **told}])))
    assert memory.memory_type == kind


def test_the_mark_that_begins_some_files_is_no_part_of_them():
    [memory] = memories(mem0("\ufeff" + json.dumps([{"memory": "x"}])))
    assert memory.content == "x"
    assert memories(mcp("\ufeff" + MCP.strip())) == memories(mcp(MCP))
    assert mcp("\ufeff") == []


@pytest.mark.parametrize(("kind", "content"), [("person", "Ada: person"), ("", "Ada"), (None, "Ada")])
def test_an_entity_of_which_nothing_is_observed_is_its_name_and_type(kind, content):
    bare = {"type": "entity", "name": "Ada", "entityType": kind}
    for entity in (bare, bare | {"observations": []}):
        [memory] = memories(mcp(json.dumps(entity)))
        assert (memory.content, memory.metadata) == (content, {"entity": "Ada", "entity_type": kind or ""})


def test_the_mcp_server_tells_what_is_so():
    told = memories(mcp(MCP))
    assert [memory.content for memory in told] == ["Ada: lives in Oslo", "Ada: plays the cello", "Ada knows Bob"]
    assert {memory.memory_type for memory in told} == {MemoryType.SEMANTIC}
    assert told[0].metadata == {"entity": "Ada", "entity_type": "person"}


def test_coming_in_twice_gives_the_same_ids():
    for read, text in ((mcp, MCP), (mem0, json.dumps(MEM0))):
        assert read(text) == read(text)


@pytest.mark.parametrize("wrong", ["", "{}", "5", "nonsense", '{"results": {}}', "[" * 100_000])
def test_what_is_no_export_of_mem0_is_refused(wrong):
    with pytest.raises(InvalidInput, match="document"):
        mem0(wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (5, "entry: is not a JSON object"), ("text", "entry: is not"), ([], "entry: is not"),
        ({}, "memory: is missing"),
        ({"memory": None}, "memory: is missing"), ({"memory": 5}, "memory: must be a text"),
        ({"memory": ""}, "memory: must have 1 to 8000"), ({"memory": "x" * 8001}, "memory: .*has 8001"),
        ({"memory": "\ud800"}, "memory: has a lone surrogate"), ({"memory": "a\0"}, "NUL"),
        ({"memory": "x", "created_at": "yesterday"}, "created_at: is no moment in ISO 8601: 'yesterday'"),
        ({"memory": "x", "created_at": 1e300}, "created_at"), ({"memory": "x", "created_at": True}, "created_at"),
        ({"memory": "x", "created_at": math.nan}, "created_at"),
        ({"memory": "x", "created_at": "9999-99-99"}, "created_at"),
        ({"memory": "x", "expiration_date": "soon"}, "expiration_date: is no moment in ISO 8601: 'soon'"),
        ({"memory": "x", "user_id": "u" * 129}, "user_id"), ({"memory": "x", "agent_id": "\ud800"}, "agent_id"),
        ({"memory": "x", "metadata": [5]}, "metadata"), ({"memory": "x", "metadata": {"a": math.nan}}, "metadata"),
        ({"memory": "x", "categories": "food"}, "categories: must be a list"),
        ({"memory": "x", "categories": {"a": 1}}, "categories: must be a list"),
        ({"memory": "x", "categories": [5]}, "categories: must be a text"),
        ({"memory": "x", "categories": [[]]}, "categories: must be a list of texts"),
        ({"memory": "x", "categories": [str(n) for n in range(51)]}, "categories: must be at most 50"),
        ({"memory": "x", "categories": ["a\0"]}, "categories: has a NUL"),
        ({"memory": "x", "userId": "u" * 129}, "userId: must have"),
        ({"memory": "x", "createdAt": "yesterday"}, "createdAt: is no"),
        ({"memory": "x", "metadata": {"a": "x" * 1_000_001}}, "metadata: must have at most"),
        ({"memory": "x" * 1_000_001}, "memory: .*has 1000001"),
    ],
)  # fmt: skip
def test_an_entry_of_mem0_that_is_no_memory_says_what_is_wrong(wrong, says):
    with pytest.raises(InvalidInput, match=says):
        memories(mem0(json.dumps([wrong])))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("{}", "line: is no entity"), ("5", "line: is no entity"), ('{"type": "odd"}', "line: is no entity"),
        ('{"type": []}', "line: is no entity"), ("nonsense", "line: is not JSON"), ("[" * 100_000, "line: is nested"),
        ('{"type": "entity"}', "name: must be a text"),
        ('{"type": "entity", "name": "Ada", "observations": [" "]}', "content: must have 1"),
        ('{"type": "entity", "name": "Ada", "observations": "abc"}', "observations: must be a list"),
        ('{"type": "entity", "name": "Ada", "observations": [5]}', "content: must be a text"),
        ('{"type": "entity", "name": "Ada", "observations": ["\\ud800"]}', "content: has a lone surrogate"),
        (f'{{"type": "entity", "name": "Ada", "observations": ["{"x" * 8000}"]}}', "content: must have 1 to 8000"),
        (f'{{"type": "entity", "name": "{"x" * 8001}", "observations": []}}', "name: must have at most 8000"),
        ('{"type": "relation", "from": "Ada", "to": "Bob"}', "relationType: must be a text"),
        ('{"type": "entity", "name": "\udce9", "observations": []}', "line: is not valid UTF-8 at character 29"),
        (f'{{"type": "{"x" * 4_000_000}"}}', "line: must have at most 4000000"),
    ],
)  # fmt: skip
def test_a_line_of_the_mcp_server_that_is_no_memory_says_what_is_wrong(wrong, says):
    with pytest.raises(InvalidInput, match=says):
        memories(mcp(wrong))


def test_an_observation_that_is_none_keeps_no_other_out():
    first, _, last = mcp('{"type": "entity", "name": "Ada", "observations": ["sings", 5, "runs"]}')
    assert [memory.content for memory in memories([first, last])] == ["Ada: sings", "Ada: runs"]
