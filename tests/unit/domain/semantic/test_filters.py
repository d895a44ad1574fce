import re

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.filters import Among, IsObject, matches, parse_filter

ANA = {"name": "Ana", "age": 31, "home": {"city": "Oslo"}, "vip": True, "left": None, "pets": ["cat"]}


@pytest.mark.parametrize(
    "condition",
    [
        {}, {"name": "Ana"}, {"name": "Ana", "age": 31}, {"age": 31.0}, {"home.city": "Oslo"}, {"vip": True},
        {"name": {"ne": "Bo"}}, {"nickname": {"ne": "Bo"}}, {"age": {"gt": 30, "lte": 31}}, {"name": {"lt": "B"}},
        {"name": {"in": ["Bo", "Ana"]}}, {"left": None}, {"left": {"exists": True}},
        {"nickname": {"exists": False}}, {"pets": ["cat"]}, {"pets.0": "cat"}, {"or": [{"age": 1}, {"vip": True}]},
        {"and": [{"age": 31}, {"not": {"name": "Bo"}}]}, {"home": {"eq": {"city": "Oslo"}}},
    ],
)  # fmt: skip
def test_matches(condition):
    assert matches(parse_filter(condition), ANA)


@pytest.mark.parametrize(
    ("value", "among", "is_there"),
    [
        (1, [1.0], True), (1.0, [1], True), (1, ["1"], False), (1, [True], False), (True, [1], False),
        (True, [True], True), (None, [None], True), (None, [0, "", False], False), (10**23, [1e23], True),
        ([1, {"b": 2.0}], [0, [1.0, {"b": 2}]], True), ([1], [[True], ["1"], 1], False), ({}, [[]], False),
    ],
)  # fmt: skip
def test_what_is_one_of_many_equals_one_of_them(value, among, is_there):
    told, asked = {"a": value}, {"a": {"in": among}}
    assert matches(parse_filter(asked), told) is is_there
    assert matches(parse_filter({"not": asked}), told) is not is_there
    assert matches(parse_filter({"or": [{"a": {"eq": each}} for each in among]}), told) is is_there


def test_what_is_not_there_is_none_of_many():
    assert not matches(parse_filter({"a": {"in": [None, "", 0]}}), {})


def test_one_of_many_is_one_condition():
    assert parse_filter({"a": {"in": [1, "x"]}}) == Among(("a",), (1, "x"))


@pytest.mark.parametrize(("name", "is_object"), [("home", True), ("pets", False), ("left", False), ("nickname", False)])
def test_tells_an_object_from_anything_else(name, is_object):
    assert matches(IsObject((name,)), ANA) is is_object


@pytest.mark.parametrize(
    ("condition", "document"),
    [
        ({'"a.b"': 1}, {"a.b": 1}), ({'"a.b".c': 1}, {"a.b": {"c": 1}}), ({'c."a.b"': {"gt": 0}}, {"c": {"a.b": 1}}),
        ({'"a.b"."c.d".0': 1}, {"a.b": {"c.d": [1]}}), ({'"and"': 1}, {"and": 1}), ({'"or"': [1]}, {"or": [1]}),
        ({'"not"': {"exists": True}}, {"not": None}), ({'""': 1}, {"": 1}), ({"": 1}, {"": 1}),
        ({".": 1}, {"": {"": 1}}),
        ({"a.": 1}, {"a": {"": 1}}), ({r'"\"x\""': 1}, {'"x"': 1}), ({r'"a\\b."': 1}, {"a\\b.": 1}),
        ({'"x\n."': 1}, {"x\n.": 1}), ({"and.x": 1}, {"and": {"x": 1}}),
        # What is not quoted from dot to dot is a name with a quote in it.
        ({'"a.b': 1}, {'"a': {"b": 1}}), ({'"a"b': 1}, {'"a"b': 1}), ({'5" disk': 1}, {'5" disk': 1}),
        ({'"': 1}, {'"': 1}), ({'"a"\n': 1}, {'"a"\n': 1}),
    ],
)  # fmt: skip
def test_a_quoted_name_is_taken_as_it_is(condition, document):
    assert matches(parse_filter(condition), document)
    assert not matches(parse_filter(condition), {"a": {"b": 1}, "x": 1})


@pytest.mark.parametrize(
    "condition",
    [
        {"name": "ana"}, {"name": "Ana", "age": 30}, {"vip": 1}, {"age": "31"}, {"age": {"gt": "30"}},
        {"name": {"gt": 5}}, {"vip": {"gte": 0}}, {"nickname": None}, {"nickname": {"lt": 5}},
        {"home.city.street": "x"}, {"or": []}, {"name": {"in": []}}, {"pets": ["dog"]}, {"pets.1": "cat"},
        {"name.0": "A"}, {"not": {}},
    ],
)  # fmt: skip
def test_does_not_match(condition):
    assert not matches(parse_filter(condition), ANA)


@pytest.mark.parametrize(
    "condition",
    [
        {"and": {}}, {"or": "x"}, {"not": 5}, {"and": [5]}, {"age": {"near": 3}}, {"age": {"lt": None}},
        {"age": {"lt": True}}, {"age": {"exists": "yes"}}, {"age": {"in": "abc"}}, {"age": {}}, {"a": float("nan")},
        {"a": "\0"}, {"a": "\ud800"}, {"a": "x" * 20_000},
    ],
)  # fmt: skip
def test_refuses_what_it_does_not_understand(condition):
    with pytest.raises(InvalidInput) as refusal:
        parse_filter(condition)
    assert refusal.value.field == "filter"


@pytest.mark.parametrize("key", ["AND", "Or", "NOT", "$and", "$or", "$not", "$OR", "$eq", "$a.b", "$"])
def test_what_another_language_writes_is_no_key_unless_it_is_quoted(key):
    for condition in ({key: [{"k": 1}]}, {"not": {key: {"k": 1}}}, {"or": [{"and": [{key: 1}]}]}):
        with pytest.raises(InvalidInput) as refusal:
            parse_filter(condition)
        assert refusal.value.field == "filter"
    assert matches(parse_filter({f'"{key}"': 1}), {key: 1})


@pytest.mark.parametrize(("key", "meant"), [("OR", "or"), ("$And", "and"), ("$not", "not")])
def test_says_what_to_write_instead(key, meant):
    with pytest.raises(InvalidInput, match=re.escape(f"write '{meant}', or '\"{key}\"' for a key so named")):
        parse_filter({key: 1})


@pytest.mark.parametrize("key", ["a.$b", "AND.x", "nor", "android", "a$"])
def test_what_only_resembles_a_connective_is_a_key(key):
    parse_filter({key: 1})


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"a.b": {"$eq": 1}}, "'$eq' is no condition for 'a.b': there are eq, ne, in, lt, lte, gt, gte, exists"),
        ({"a": {"lt": None}}, "'lt' for 'a' takes a number or a text"),
        ({"a": {"exists": 1}}, "'exists' for 'a' takes true or false"),
        ({"a": {"in": "abc"}}, "'in' takes a list"),
    ],
)
def test_says_which_conditions_there_are_and_what_they_take(condition, said):
    with pytest.raises(InvalidInput, match=re.escape(said)):
        parse_filter(condition)


def test_refuses_ten_thousand_levels():
    deep: dict = {}
    for _ in range(10_000):
        deep = {"not": deep}
    with pytest.raises(InvalidInput, match="levels deep"):
        parse_filter(deep)
