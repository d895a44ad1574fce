"""A grammar in the tokens of a real tokenizer: what may come next, and what is refused at once."""

import json
import random

import pytest
from models import make_model

from agent_memory.adapters.guidance.grammars import GuidanceCompiler
from agent_memory.adapters.mlx.loading import load_model
from agent_memory.domain.chat import Tool
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.speech import JSON_CALL
from agent_memory.ports.language import Calls, Form, Grammar

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return load_model(make_model(folder / "llama", "llama"), Precision(4), folder).tokenizer


@pytest.fixture(scope="module")
def compiler(tokenizer):
    return GuidanceCompiler(tokenizer.definition, tokenizer.vocabulary, tokenizer.stop_tokens)


def allowed(path):
    return {8 * at + bit for at, byte in enumerate(path.allowed()) for bit in range(8) if byte >> bit & 1}


def walk(constraint, tokenizer, dice, limit=3000):
    """An answer of someone who takes anything that is allowed."""
    path, text = constraint.begin(), tokenizer.stream()
    said = ""
    for _ in range(limit):
        token = dice.choice(sorted(allowed(path)))
        if token in tokenizer.stop_tokens:
            return said + text.finish()
        path.take(token)
        said += text.add(token)
    raise AssertionError("it never ended")


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}, "tag": {"enum": ["a", "b"]}},
    "required": ["n", "tag"],
    "additionalProperties": False,
}


def test_whatever_is_allowed_makes_a_valid_answer(compiler, tokenizer):
    constraint = compiler.compile(Form(Grammar("json_schema", json.dumps(SCHEMA))))
    for seed in range(50):
        answer = json.loads(walk(constraint, tokenizer, random.Random(seed)))
        assert answer.keys() == {"n", "tag"}
        assert 0 <= answer["n"] <= 9
        assert answer["tag"] in ("a", "b")


def test_answers_do_not_touch_each_other(compiler, tokenizer):
    constraint = compiler.compile(Form(Grammar("regex", "ab|cd")))
    one, two = constraint.begin(), constraint.begin()
    either = allowed(one)
    assert len(either) == 2
    one.take(min(either))
    assert len(allowed(one)) == 1
    assert allowed(two) == either


def test_after_the_end_only_the_end_is_allowed(compiler, tokenizer):
    path = compiler.compile(Form(Grammar("regex", "a"))).begin()
    path.take(min(allowed(path)))
    assert allowed(path) == tokenizer.stop_tokens
    path.take(next(iter(tokenizer.stop_tokens)))
    assert allowed(path) == tokenizer.stop_tokens


def test_what_is_not_allowed_leaves_nothing_but_the_end(compiler, tokenizer):
    path = compiler.compile(Form(Grammar("regex", "ab"))).begin()
    (first,) = allowed(path)
    path.take(first + 1)
    assert allowed(path) == tokenizer.stop_tokens


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json_schema", '{"type": "strin"}'),
        ("json_schema", '{"properties": 3}'),
        ("json_schema", "nonsense"),
        ("regex", "a("),
        ("lark", "start: nowhere"),
    ],
)
def test_a_wrong_grammar_is_refused_by_its_field(compiler, kind, text):
    with pytest.raises(InvalidInput, match="tools: ") as caught:
        compiler.compile(Form(Grammar(kind, text, field="tools")))
    assert "\n" not in caught.value.reason


def calling(parameters, *, strict):
    return Form(calls=Calls((Tool("f", json.dumps(parameters), strict=strict),), JSON_CALL, forced=True, many=False))


ODD = [
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!x)a$"}}, "required": ["a"]},
    {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"const": 1}, "uniqueItems": True, "maxItems": 1}},
    },
]


@pytest.mark.parametrize("schema", ODD)
def test_what_a_schema_asks_too_much_is_passed_over_unless_it_is_strict(schema, compiler, tokenizer):
    said = walk(compiler.compile(calling(schema, strict=False)), tokenizer, random.Random(1))
    call = json.loads(said.removeprefix(JSON_CALL.begin).removesuffix(JSON_CALL.end))
    assert set(call["arguments"]) <= {"a"}
    with pytest.raises(InvalidInput, match="tools: the parameters of 'f'"):
        compiler.compile(calling(schema, strict=True))


def test_a_refused_pattern_is_told_with_its_fault_and_without_our_grammar(compiler):
    with pytest.raises(InvalidInput, match="look-ahead and look-behind, is not supported") as caught:
        compiler.compile(Form(Grammar("json_schema", '{"type": "string", "pattern": "(?=a)b"}', "response_format")))
    assert caught.value.reason.startswith("failed to compile JSON schema: regex parse error: look-around")


@pytest.mark.parametrize("levels", [300, 100_000])
@pytest.mark.parametrize("leaf", ['{"pattern": "("}', '{"type": 5}'])
def test_a_schema_that_is_too_deep_is_refused_by_its_field(levels, leaf, compiler):
    schema = '{"type": "object", "properties": {"a": ' * levels + leaf + "}}" * levels
    with pytest.raises(InvalidInput, match="tools: the parameters of 'f'"):
        compiler.compile(Form(calls=Calls((Tool("f", schema),), JSON_CALL)))
    with pytest.raises(InvalidInput, match="response_format"):
        compiler.compile(Form(Grammar("json_schema", schema, "response_format")))


@pytest.mark.parametrize("parameters", ['{"type": "array"}', "[]", "{"])
def test_parameters_that_are_no_object_are_refused(parameters, compiler):
    form = Form(calls=Calls((Tool("f", parameters),), JSON_CALL))
    with pytest.raises(InvalidInput, match="tools: the parameters of 'f'"):
        compiler.compile(form)


def test_objects_have_what_is_named_and_no_more(compiler, tokenizer):
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "null"}}}}}
    for seed in range(20):
        answer = json.loads(
            walk(compiler.compile(Form(Grammar("json_schema", json.dumps(schema)))), tokenizer, random.Random(seed))
        )
        assert answer.keys() <= {"a"}
        assert answer.get("a", {}).keys() <= {"b"}


def test_parts_that_are_put_together_stay_open(compiler):
    parts = [
        {"properties": {"a": {"const": 1}}, "required": ["a"]},
        {"properties": {"b": {"const": 2}}, "required": ["b"]},
    ]
    compiler.compile(Form(Grammar("json_schema", json.dumps({"type": "object", "allOf": parts}))))
