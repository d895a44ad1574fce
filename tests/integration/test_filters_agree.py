"""Any condition on any metadata means the same to the domain and to PostgreSQL."""

import json

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from agent_memory.adapters.postgres.conditions import Conditions
from agent_memory.domain.semantic.filters import matches, parse_filter
from agent_memory.domain.semantic.selection import Selection

pytestmark = pytest.mark.integration

KEYS = st.sampled_from(["a", "b", "", "0", "-1", " 1", "\u0661", "ä%", "'; --", "{}", "a,b", '"'])
NAMES = KEYS | st.sampled_from(["a.b", "and", "not"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4) | st.sampled_from(["1", "true", ""])
NUMBERS = st.integers(-3, 3) | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=3), max_leaves=6)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
QUOTED = st.sampled_from(['"a.b"', '"and"', '"not"', '"0"', '""', r'"\""'])
PATHS = st.lists(KEYS | QUOTED, min_size=1, max_size=3).map(".".join)
COMPARABLE = NUMBERS | TEXTS


def conditions() -> st.SearchStrategy:
    tests = (
        VALUES.filter(lambda value: not isinstance(value, dict))
        | st.fixed_dictionaries({}, optional={"eq": VALUES, "ne": VALUES, "exists": st.booleans()}).filter(bool)
        | st.fixed_dictionaries({"in": st.lists(VALUES, max_size=12)})
        | st.dictionaries(st.sampled_from(["lt", "lte", "gt", "gte"]), COMPARABLE, min_size=1, max_size=2)
    )
    leaves = st.dictionaries(PATHS, tests, max_size=2)
    return st.recursive(
        leaves,
        lambda inner: st.fixed_dictionaries(
            {}, optional={"and": st.lists(inner, max_size=3), "or": st.lists(inner, max_size=3), "not": inner}
        ),
        max_leaves=5,
    )


@st.composite
def cases(draw):
    """A condition on values that are in the document is met more often than any other."""
    document = draw(DOCUMENTS)
    if document and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(document)))
        quoted = json.dumps(key, ensure_ascii=False) if draw(st.booleans()) or key in {"and", "not"} else key
        name = draw(st.sampled_from(["eq", "ne", "in", "lt", "gte"]))
        value = document[key]
        if name == "in":
            among = {quoted: {"in": draw(st.permutations([value, *draw(st.lists(VALUES, max_size=12))]))}}
            return document, {"not": among} if draw(st.booleans()) else among
        if name in {"eq", "ne"} or (isinstance(value, str | int | float) and not isinstance(value, bool)):
            return document, {quoted: {name: value}}
    return document, draw(conditions())


@pytest.fixture(scope="module")
def database(conninfo):
    with psycopg.connect(conninfo, autocommit=True) as opened:
        yield opened


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(case=({"a": 1e23}, {"a": 10**23}))
@example(case=({"a": 0.1}, {"a": {"lte": 0.1}}))
@example(case=({"a": [1, 2]}, {"a.-1": 2}))
@example(case=({"a": [1, 2]}, {"a. 1": {"exists": True}}))
@example(case=({"a": "\U0001f98a"}, {"a": {"gt": "\uffff"}}))
@example(case=({"a": -0.0}, {"a": 0}))
@example(case=({"a": 1}, {"a": {"in": ["1", True, 1.0]}}))
@example(case=({"a": True}, {"a": {"in": [1, "true", [True]]}}))
@example(case=({"a": None}, {"a": {"in": [None, 0, ""]}}))
@example(case=({"a": None}, {"a": {"in": [0, "", "null", False, []]}}))
@example(case=({}, {"not": {"a": {"in": [None]}}}))
@example(case=({}, {"a": {"in": []}}))
@example(case=({"a": 1e23}, {"a": {"in": [*range(20), 10**23]}}))
@example(case=({"a": 1e23}, {"a": {"in": [*range(20), 99999999999999991611392]}}))
@example(case=({"a": -0.0}, {"a": {"in": [0, "x"]}}))
@example(case=({"a": [1, {"b": 2.0}]}, {"a": {"in": [*range(20), [1.0, {"b": 2}]]}}))
@example(case=({"a": '{"b"}, \\'}, {"a": {"in": ["NULL", '{"b"}, \\', '"']}}))
@example(case=({"a.b": [1]}, {'"a.b".0': 1}))
@example(case=({"not": 1}, {'"not"': {"gt": 0}}))
@given(case=cases())
def test_the_domain_and_the_database_agree(database, case):
    document, condition = case
    parsed = parse_filter(condition)
    written = Conditions()
    selected = written.selected(Selection(metadata=parsed))
    query = psycopg.sql.SQL("SELECT {} FROM (SELECT %(document)s AS metadata) AS memories").format(selected)
    [found] = database.execute(query, written.parameters | {"document": Jsonb(document)}).fetchone()
    assert found == matches(parsed, document)
    # And what comes back from the database is still the same to the domain.
    [stored] = database.execute("SELECT %s", [Jsonb(document)]).fetchone()
    assert matches(parsed, stored) == found
