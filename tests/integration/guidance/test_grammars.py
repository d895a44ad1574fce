"""A grammar in the tokens of a real tokenizer: what may come next, and what is refused at once."""

import json
import random

import pytest
from models import make_model

from agent_memory.adapters.guidance.grammars import GuidanceCompiler
from agent_memory.adapters.mlx.loading import load_model
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.precision import Precision
from agent_memory.ports.kv import Form, Grammar

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
