"""What a model is told of the tools: names, limits, hints, and no more words than it needs."""

import json

import pytest
from jsonschema import Draft202012Validator

from agent_memory.entrypoints.mcp.scope import Whose
from agent_memory.entrypoints.mcp.tools import TOOLS, told_tools

FIXED = Whose(agent_id="guide", user_id="ada")
READING = {"search_memories", "memory_context", "list_memories", "count_memories", "get_memory", "memory_history"}


@pytest.fixture(scope="module")
def told():
    return {tool.name: tool for tool in told_tools(Whose())}


def test_they_come_in_a_fixed_order():
    assert [tool.name for tool in told_tools(Whose())] == [tool.name for tool in told_tools(FIXED)] == list(TOOLS)


@pytest.mark.parametrize("name", TOOLS)
def test_each_is_described_whole(told, name):
    tool = told[name]
    assert tool.title
    assert tool.description.endswith(".")
    assert len(tool.description) <= 120
    for schema in (tool.input_schema, tool.output_schema):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert "$ref" not in json.dumps(schema)
    assert tool.input_schema["additionalProperties"] is False
    assert all("description" in each or "enum" in each or "maximum" in each for each in _properties(tool.input_schema))


@pytest.mark.parametrize("name", TOOLS)
def test_the_hints_say_what_it_does(told, name):
    hints = told[name].annotations
    assert hints.read_only_hint is (name in READING)
    assert hints.destructive_hint is (name == "delete_memory")
    assert hints.idempotent_hint is (name != "store_memory")
    assert hints.open_world_hint is False


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("store_memory", {"agent_id", "user_id", "content"}),
        ("search_memories", {"agent_id", "user_id", "query"}),
        ("delete_memory", {"agent_id"}),
        ("count_memories", {"agent_id", "user_id"}),
    ],
)
def test_the_arguments_are_those_that_are_known(told, name, required):
    assert set(told[name].input_schema["required"]) == required


def test_defaults_and_limits_are_told(told):
    storing, searching = (told[name].input_schema["properties"] for name in ("store_memory", "search_memories"))
    assert (storing["memory_type"]["default"], storing["importance"]["default"]) == ("episodic", 1.0)
    assert (storing["content"]["minLength"], storing["content"]["maxLength"]) == (1, 8000)
    assert (searching["top_k"]["default"], searching["top_k"]["maximum"]) == (5, 50)


@pytest.mark.parametrize("name", TOOLS)
def test_what_is_fixed_is_not_asked_for(name):
    [tool] = [tool for tool in told_tools(FIXED) if tool.name == name]
    assert not {"agent_id", "user_id"} & tool.input_schema["properties"].keys()
    assert not {"agent_id", "user_id"} & set(tool.input_schema["required"])


def test_they_cost_a_model_little():
    read = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in told_tools(FIXED)
    ]
    assert len(json.dumps(read, separators=(",", ":"))) < 8_000


def _properties(schema):
    for name, each in schema["properties"].items():
        yield from each.get("anyOf", [each])[:1] if name != "where" else ()
