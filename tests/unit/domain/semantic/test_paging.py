import base64
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.paging import Progress, most_of, page_of
from agent_memory.domain.semantic.recall import Question, Recollection, Score
from agent_memory.domain.semantic.scoring import MOST_RANKED
from agent_memory.domain.semantic.tokens import tokens_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ranking(*contents: str, step: float = 0.01) -> list[Recollection]:
    """Each worth so much less than the one before."""
    return [
        Recollection(Memory(MemoryId(uuid4()), Scope("a", "u"), content, NOW), Score(1.0 - place * step, 0, 0, 0, 0, 1))
        for place, content in enumerate(contents)
    ]


def question(**fields) -> Question:
    return Question(Scope("a", "u"), "what?", **fields)


def begun(asked: Question) -> Progress:
    return Progress.begun(asked, NOW)


def test_a_page_has_as_many_as_asked_and_tells_whether_more_follow():
    ranked, asked = ranking("a", "b", "c"), question(top_k=2)
    page = page_of(ranked, asked, begun(asked))
    assert list(page.recollections) == ranked[:2]
    rest = page_of(ranked, asked, Progress.read(page.cursor, asked))
    assert list(rest.recollections) == ranked[2:]
    assert rest.cursor is None


@given(st.integers(1, 60), st.integers(1, 50), st.randoms())
def test_nothing_comes_twice_or_stays_out_however_the_ranking_changes(size, top_k, dice):
    ranked, asked, seen = ranking(*map(str, range(size))), question(top_k=top_k), []
    page = page_of(ranked, asked, begun(asked))
    while True:
        seen += [r.memory.id for r in page.recollections]
        if page.cursor is None:
            break
        dice.shuffle(ranked)
        page = page_of(ranked, asked, Progress.read(page.cursor, asked))
    assert sorted(seen) == sorted(r.memory.id for r in ranked)


def test_what_a_later_page_ranks_higher_counts_no_more_than_what_was_given():
    ranked, asked = ranking("a", "b", "c", "d"), question(top_k=2)
    page = page_of(ranked[1:], asked, begun(asked))
    rest = page_of([ranked[0], ranked[3]], asked, Progress.read(page.cursor, asked))
    assert [(r.memory, r.score.total) for r in rest.recollections] == [
        (ranked[0].memory, 0.98),
        (ranked[3].memory, 0.97),
    ]


@pytest.mark.parametrize(
    ("given", "more", "depth"), [(0, 5, 20), (0, 50, 100), (5, 5, 100), (45, 5, 100), (46, 5, 200)]
)
def test_further_pages_look_equally_deep_for_as_long_as_they_can(given, more, depth):
    assert Progress(NOW, 0, frozenset(range(given))).depth(more) == depth


def test_what_scores_too_little_stays_out():
    asked = question(min_score=0.985)
    assert len(page_of(ranking("a", "b", "c"), asked, begun(asked)).recollections) == 2


def test_a_bar_is_compared_with_what_is_shown():
    ranked = [each._replace(score=each.score._replace(total=0.98765)) for each in ranking("a")]
    for bar, found in ((0.9876, 1), (ranked[0].score.shown, 1), (0.98766, 1), (0.9878, 0)):
        asked = question(min_score=bar)
        assert len(page_of(ranked, asked, begun(asked)).recollections) == found


def test_a_budget_is_filled_with_the_best_that_fit():
    ranked, asked = ranking("x" * 40, "y" * 400, "z" * 40), question(max_tokens=30)
    page = page_of(ranked, asked, begun(asked))
    assert [r.memory.content[0] for r in page.recollections] == ["x", "z"]
    assert page.cursor is None or sum(tokens_of(r.memory.content) for r in page.recollections) <= 30


def test_a_budget_and_a_number_both_hold():
    ranked, asked = ranking("x" * 40, "y" * 400, "z" * 40, "tea", "milk"), question(max_tokens=40, top_k=2)
    page = page_of(ranked, asked, begun(asked))
    assert [r.memory.content[0] for r in page.recollections] == ["x", "z"]
    rest = page_of(ranked, asked, Progress.read(page.cursor, asked))
    assert [r.memory.content for r in rest.recollections] == ["tea", "milk"]
    assert most_of(asked) == most_of(question(max_tokens=40))


def test_ten_come_where_nobody_says_how_many():
    ranked, asked = ranking(*map(str, range(60))), question()
    assert len(page_of(ranked, asked, begun(asked)).recollections) == most_of(asked) == 10
    asked = question(max_tokens=1000)
    assert len(page_of(ranked, asked, begun(asked)).recollections) == 60


def test_a_budget_is_not_filled_with_what_answers_much_worse():
    ranked, asked = ranking("x" * 40, "y" * 400, "z" * 40, "not" * 3, step=0.2), question(max_tokens=40)
    page = page_of(ranked, asked, begun(asked))
    assert [r.memory.content[0] for r in page.recollections] == ["x", "z"]


def test_a_budget_for_nothing_gives_nothing():
    asked = question(max_tokens=1)
    page = page_of(ranking("much too long"), asked, begun(asked))
    assert (page.recollections, page.cursor) == ((), None)


@pytest.mark.parametrize("limits", [{"top_k": 50}, {"top_k": 7}, {"max_tokens": 122}, {"max_tokens": 50, "top_k": 9}])
def test_the_pages_of_one_question_end(limits):
    ranked, asked = ranking(*(["x"] * (MOST_RANKED + 60)), step=0.0001), question(**limits)
    page = page_of(ranked, asked, begun(asked))
    told = len(page.recollections)
    while page.cursor is not None:
        page = page_of(ranked, asked, Progress.read(page.cursor, asked))
        told += len(page.recollections)
    assert told == MOST_RANKED


@pytest.mark.parametrize("cursor", ["", "x", "äöü", "AAAA", "////////////////////"])
def test_a_cursor_that_is_none_is_refused(cursor):
    with pytest.raises(InvalidInput, match="cursor: is none"):
        Progress.read(cursor, question())


def after(asked: Question, names: int = 3, **fields) -> Progress:
    return replace(begun(asked), **{"given": frozenset(range(names)), "least": 0.5} | fields)


@pytest.mark.parametrize("least", [math.nan, math.inf, -math.inf])
def test_a_cursor_without_a_score_is_refused(least):
    with pytest.raises(InvalidInput, match="cursor: is none"):
        Progress.read(after(question(), least=least).cursor(), question())


@pytest.mark.parametrize("names", [0, MOST_RANKED, 5000])
def test_a_cursor_names_as_many_as_pages_may_have_given(names):
    with pytest.raises(InvalidInput, match="cursor: is none"):
        Progress.read(after(question(), names).cursor(), question())
    asked = question()
    assert Progress.read(after(asked, MOST_RANKED - 1).cursor(), asked) == after(asked, MOST_RANKED - 1)


def test_a_cursor_is_read_as_it_was_given():
    cursor = after(question()).cursor()
    twice = base64.urlsafe_b64encode(base64.urlsafe_b64decode(cursor) + bytes(8)).decode()
    for changed in (cursor + "AAAA", cursor + "!", "\n" + cursor, cursor.rstrip("=") + "====", twice):
        with pytest.raises(InvalidInput, match="cursor: is none"):
            Progress.read(changed, question())


def test_a_cursor_of_another_question_is_refused():
    cursor = after(question()).cursor()
    with pytest.raises(InvalidInput, match="another question"):
        Progress.read(cursor, Question(Scope("a", "u"), "who?"))


def test_a_cursor_remembers_its_moment():
    asked = question()
    for moment in (NOW + timedelta(microseconds=123457), datetime(2199, 12, 31, 23, 59, 59, 999_999, UTC)):
        assert Progress.read(after(asked, asked_at=moment).cursor(), asked).asked_at == moment


def test_a_budget_passes_over_what_is_too_long_and_takes_as_many_as_fit():
    long, short = ["long " * 900] * 120, ["tea"] * 300
    page = page_of(ranking(*long, *short, step=0.001), (asked := question(max_tokens=600)), begun(asked))
    assert [r.memory.content for r in page.recollections] == short
    assert (most_of(question(max_tokens=50)), most_of(question(max_tokens=100_000)), most_of(question(top_k=7))) == (
        100,
        MOST_RANKED,
        7,
    )


def test_a_score_below_nothing_is_a_score():
    """A cosine may be: what there is room for comes all the same."""
    ranked, asked = ranking("aa", "bb", "cc", "dd", step=0.6), question(max_tokens=1000, alpha=1.0)
    page = page_of(ranked, asked, begun(asked))
    assert list(page.recollections) == ranked
    assert page.cursor is None
