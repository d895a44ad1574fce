import math
import sys
from collections import deque
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import uuid4

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import (
    Memory,
    MemoryId,
    MemoryType,
    Scope,
    parse_memory_id,
    parse_memory_type,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def memory(**fields):
    return Memory(**{"id": MemoryId(uuid4()), "scope": Scope("a", "u"), "content": "x", "created_at": NOW} | fields)


@pytest.mark.parametrize("length", [1, 8000])
def test_content_may_have_1_to_8000_characters(length):
    assert len(memory(content="é" * length).content) == length


def test_importance_is_as_exact_as_it_is_kept():
    assert memory(importance=1.23456789).importance == 1.234568


@pytest.mark.parametrize("field", ["created_at", "expires_at", "superseded_at", "event_time", "revised_at"])
def test_moments_are_told_in_utc_wherever_they_come_from(field):
    moment = datetime.fromisoformat("2026-01-01T00:00:00+02:00")
    assert getattr(memory(**{field: moment}), field).isoformat() == "2025-12-31T22:00:00+00:00"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("content", "", "1 to 8000 characters, has 0"),
        ("content", "x" * 8001, "1 to 8000 characters, has 8001"),
        ("content", "a\0b", "NUL character at position 1"),
        ("content", "ab\ud800", "lone surrogate at position 2"),
        ("importance", -0.1, "from 0 to 2"),
        ("importance", 2.1, "from 0 to 2"),
        ("importance", math.nan, "nan"),
        ("importance", math.inf, "inf"),
        ("created_at", datetime(2026, 1, 1), "time zone"),
    ],
)
def test_refusals_name_the_field_and_the_limit(field, value, says):
    with pytest.raises(InvalidInput, match=says) as refusal:
        memory(**{field: value})
    assert refusal.value.field == field


@pytest.mark.parametrize(("agent_id", "user_id", "field"), [("", "u", "agent_id"), ("a", "u" * 129, "user_id")])
def test_names_have_1_to_128_characters(agent_id, user_id, field):
    with pytest.raises(InvalidInput, match="1 to 128") as refusal:
        Scope(agent_id, user_id)
    assert refusal.value.field == field


def test_a_type_is_known_by_its_name():
    assert parse_memory_type("semantic") is MemoryType.SEMANTIC
    with pytest.raises(InvalidInput, match="episodic, semantic, procedural"):
        parse_memory_type("nonsense")


def test_an_id_is_a_uuid():
    known = uuid4()
    assert parse_memory_id(str(known)) == parse_memory_id(MemoryId(known)) == known
    with pytest.raises(InvalidInput, match="must be a UUID"):
        parse_memory_id("1; DROP TABLE memories")


def test_numbers_may_be_as_great_as_floats_are_and_come_back_as_integers():
    greatest = int(sys.float_info.max)
    assert memory(metadata={"n": sys.float_info.max, "m": greatest, "l": int(1.5e308)}).metadata["m"] == greatest
    with pytest.raises(InvalidInput, match="metadata: has a number that is greater than floats are"):
        memory(metadata={"n": -greatest - 1})


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), range(3), {1}, MappingProxyType({}), NOW, uuid4(), deque()])
def test_metadata_that_is_no_json_is_refused_by_name(value):
    for metadata in ({"a": value}, {"a": [{"b": value}]}):
        with pytest.raises(InvalidInput, match=f"metadata: holds a {type(value).__name__}, which is no JSON"):
            memory(metadata=metadata)
    with pytest.raises(InvalidInput, match="metadata: must be an object"):
        memory(metadata=MappingProxyType({}))
    assert memory(metadata={"a": (1, [2.5, None], True)}).metadata["a"][1] == [2.5, None]
