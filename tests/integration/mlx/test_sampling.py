"""What shapes the next token's distribution, and what forbids tokens altogether."""

import math

import mlx.core as mx
import pytest

from agent_memory.adapters.mlx.sampling import Answer, likelihoods, say
from agent_memory.domain.kv.turn import Sampling, TurnId

LOGITS = mx.array([[1.0, 3.0, 2.0, 0.0]])


class Only:
    """A constraint that allows these tokens, one after the other."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)

    def begin(self):
        return Only(*self.tokens)

    def allowed(self):
        return bytes([1 << self.tokens[0]])

    def take(self, token):
        assert token == self.tokens.pop(0)


def greedy(answer=None, **shaped):
    sampling = Sampling(temperature=0, **shaped)
    return say(LOGITS, sampling, 1, answer or Answer.begin(sampling)).item()


def after(*tokens):
    answer = Answer()
    for token in tokens:
        answer.take(token)
    return answer


def test_a_bias_is_added():
    assert greedy() == 1
    assert greedy(logit_bias=((1, -100.0),)) == 2
    assert greedy(logit_bias=((3, 3.5),)) == 3


def test_a_presence_penalty_counts_once_and_a_frequency_penalty_each_time():
    assert greedy(after(1), presence_penalty=1.5) == 2
    assert greedy(after(1, 1), presence_penalty=0.7) == 1
    assert greedy(after(1, 1), frequency_penalty=0.7) == 2
    assert greedy(after(3), presence_penalty=-2.0) == 1
    assert greedy(after(3, 3), frequency_penalty=-2.0) == 3


def test_a_repetition_penalty_makes_what_was_said_less_likely_on_either_side_of_nothing():
    assert greedy(after(1), repetition_penalty=1.4) == 1
    assert greedy(after(1), repetition_penalty=1.6) == 2
    below = mx.array([[-3.0, -1.0, -2.0]])
    assert say(below, Sampling(temperature=0, repetition_penalty=2.5), 1, after(1)).item() == 2
    assert below.tolist() == [[-3, -1, -2]]


def test_what_is_not_allowed_is_never_said():
    assert greedy(constraint=Only(3)) == 3
    sampling = Sampling(temperature=2.0, constraint=Only(0))
    assert {say(LOGITS, sampling, at, Answer.begin(sampling)).item() for at in range(50)} == {0}
    assert greedy(constraint=Only(3), logit_bias=((1, 100.0),)) == 3


def test_top_k_leaves_the_likeliest():
    for k, possible in ((1, {1}), (2, {1, 2})):
        sampling = Sampling(temperature=5.0, top_k=k)
        assert {say(LOGITS, sampling, at, Answer()).item() for at in range(80)} == possible


def test_min_p_leaves_what_is_likely_beside_the_likeliest():
    for least, possible in ((1.0, {1}), (0.3, {1, 2}), (0.1, {0, 1, 2})):
        sampling = Sampling(temperature=5.0, min_p=least)
        assert {say(LOGITS, sampling, at, Answer()).item() for at in range(120)} == possible


def test_likelihoods_are_of_the_models_own_distribution():
    answer = Answer(last=2, logits=LOGITS)
    told = likelihoods(answer, 2)
    total = math.log(sum(math.exp(x) for x in (1, 3, 2, 0)))
    assert told.said == pytest.approx(2 - total, abs=1e-5)
    assert [token for token, _ in told.likeliest] == [1, 2]


@pytest.mark.parametrize("together", [False, True])
def test_a_constraint_goes_with_its_turn(together, load):
    runtime = load("llama").runtime
    names = [TurnId("one"), TurnId("two"), TurnId("free")][: 3 if together else 1]
    paths = {"one": (5, 6, 7), "two": (3, 2, 1)}
    prompts = {name: [10 + number, 20, 30] for number, name in enumerate(names)}
    for name in names:
        constraint = Only(*paths[name]) if name in paths else None
        runtime.open(name, Sampling(temperature=1, seed=1, constraint=constraint), [])
        runtime.prefill(name, prompts[name][:-1])
    feed, said = {name: prompts[name][-1] for name in names}, {name: [] for name in names}
    for _ in range(3):
        for name, token in zip(names, runtime.decode(list(feed.items())), strict=True):
            said[name].append(token)
            feed[name] = token
    for name in names:
        assert tuple(said[name]) == paths.get(name, tuple(said[name]))
        runtime.close(name)
