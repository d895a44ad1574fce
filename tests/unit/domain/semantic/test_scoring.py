from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Candidate, Question, Shortlist, WordStatistics
from agent_memory.domain.semantic.scoring import Blend, Fusion
from agent_memory.domain.semantic.words import bm25

QUESTION = Question(Scope("a", "u"), "a red boat")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
MONTH = timedelta(days=30)
WORDS = WordStatistics(documents=10, mean_length=5, frequencies={"boat": 2, "red": 5})


def candidate(number, similarity=0.5, *, age=0.0, importance=1.0, counts=None, eligible=True, position=None):
    memory = Memory(
        MemoryId(UUID(int=number)),
        Scope("a", "u"),
        f"memory {number}",
        NOW - age * MONTH,
        importance=importance,
    )
    return Candidate.of(memory, position or 10 * number, similarity, counts or {}, 5, eligible=eligible)


def ranked(policy, *candidates, query="anything"):
    question = Question(Scope("a", "u"), query, top_k=50)
    recollections = policy.rank(question, Shortlist(candidates, WORDS), NOW)
    return [r.memory.id.int for r in recollections], [r.score for r in recollections]


def test_blend_is_the_weighed_sum():
    _, [score] = ranked(Blend(0.7), candidate(1, 0.6, age=1))
    assert score.total == pytest.approx(0.7 * 0.6 + 0.3 * 0.5)


def test_blend_with_alpha_0_is_newest_first():
    order, _ = ranked(Blend(0), candidate(1, 0.9, age=3), candidate(2, 0.1, age=1), candidate(3, 0.5, age=2))
    assert order == [2, 3, 1]


def test_blend_with_alpha_1_is_meaning_alone():
    order, _ = ranked(Blend(1), candidate(1, 0.1, age=0), candidate(2, 0.9, age=50))
    assert order == [2, 1]


@pytest.mark.parametrize("policy", [Blend(0.5), Fusion()])
def test_equal_scores_put_the_newer_first(policy):
    order, _ = ranked(policy, candidate(1, 0), candidate(3, 0), candidate(2, 0))
    assert order == [3, 2, 1]


@pytest.mark.parametrize("policy", [Blend(0.5), Fusion()])
def test_what_fails_the_filter_is_not_ranked(policy):
    order, _ = ranked(policy, candidate(1, 0.9, eligible=False), candidate(2, 0.1))
    assert order == [2]


def test_no_candidates_no_recollections():
    assert ranked(Fusion()) == ([], [])


def test_fusion_rewards_words():
    order, _ = ranked(Fusion(), candidate(1, 0.5), candidate(2, 0.5, counts={"boat": 1}))
    assert order == [2, 1]


def test_fusion_lends_relevance_to_neighbours_in_time():
    order, scores = ranked(
        Fusion(),
        candidate(1, 0.3, position=1),
        candidate(2, 0.9, position=5),
        candidate(3, 0.3, position=6),
    )
    assert order == [2, 3, 1]
    assert scores[1].context > scores[2].context


def test_what_fails_the_filter_still_lends_context():
    order, _ = ranked(
        Fusion(),
        candidate(1, 0.3, position=1),
        candidate(2, 0.9, position=5, eligible=False),
        candidate(3, 0.3, position=6),
    )
    assert order == [3, 1]


def test_of_two_alike_fusion_prefers_the_newer_and_the_more_important():
    newer, _ = ranked(Fusion(), candidate(1, 0.8, age=4), candidate(2, 0.8, age=0.1))
    important, _ = ranked(Fusion(), candidate(1, 0.8, importance=2), candidate(2, 0.8))
    assert newer == [2, 1]
    assert important == [1, 2]


def test_age_and_importance_never_beat_clear_relevance():
    order, _ = ranked(
        Fusion(),
        candidate(1, 0.9, age=100, importance=0, counts={"boat": 1}),
        candidate(2, 0.4, importance=2),
    )
    assert order == [1, 2]


def test_a_query_for_the_present_gives_age_more_to_say():
    old, new = candidate(1, 0.9, age=5), candidate(2, 0.7, age=0)
    assert ranked(Fusion(), old, new, query="Where does she live?")[0] == [1, 2]
    assert ranked(Fusion(), old, new, query="Where does she live now?")[0] == [2, 1]


def test_a_query_for_the_past_lets_the_older_win():
    old, new = candidate(1, 0.7, age=5), candidate(2, 0.8, age=0)
    assert ranked(Fusion(), old, new, query="Where did she live?")[0] == [2, 1]
    assert ranked(Fusion(), old, new, query="Where did she live before?")[0] == [1, 2]


def test_what_has_changed_may_be_told_in_other_words():
    """That Ana moved to Lima answers where she lives now, though "Ana lives in Oslo" is nearer to the question."""
    old, new = candidate(1, 0.9, age=2), candidate(2, 0.65, position=200)
    order, (first, second) = ranked(Fusion(), old, new, query="Where does she live?")
    assert order == [1, 2]
    assert 0.6 < second.factors.relevance / first.factors.relevance < 0.7
    assert ranked(Fusion(), old, new, query="Where does she live now?")[0] == [2, 1]


@pytest.mark.parametrize(
    "query", ["Where does she live now, not before?", "Where does she live, now she no longer works?"]
)
def test_a_query_for_both_is_for_the_present(query):
    assert ranked(Fusion(), candidate(1, 0.9, age=5), candidate(2, 0.8, age=0), query=query)[0] == [2, 1]


@pytest.mark.parametrize("ages", [(2, 0), (13, 10), (30, 23)])
def test_age_is_counted_from_the_newest_that_answers_as_well(ages):
    old, new = (candidate(number, 0.8, age=age) for number, age in enumerate(ages, 1))
    order, (first, second) = ranked(Fusion(), old, new, query="Where does she live now?")
    assert order == [2, 1]
    assert first.total > 1.3 * second.total


def test_what_was_told_once_is_not_too_old_to_be_true():
    old, others = candidate(1, 0.9, age=7), (candidate(n, 0.5, age=0) for n in range(2, 9))
    assert ranked(Fusion(), old, *others, query="Where does she live now?")[0][0] == 1


def test_gives_no_more_than_asked():
    question = Question(Scope("a", "u"), "anything")
    shortlist = Shortlist(tuple(candidate(n) for n in range(1, 6)), WORDS)
    assert len(Fusion().rank(question, shortlist, NOW, 2)) == len(Blend().rank(question, shortlist, NOW, 2)) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 0.5, 0.501, 0.502, 0.9]),
            st.integers(-2, 9),
            st.sampled_from([0.0, 1.0, 1.5, 2.0]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.sampled_from(["Where is it?", "Where is it now?", "Where was it before?"]),
    st.integers(1, 12),
    st.sampled_from([Fusion(), Fusion(nudge=0.4), Fusion(present_nudge=1.5), Blend(0.5)]),
)
def test_the_best_few_are_the_first_of_all(told, query, most, policy):
    """Of those that cannot be among them not even the age is looked at."""
    candidates = tuple(
        candidate(number, similarity, age=age, importance=importance, eligible=eligible)
        for number, (similarity, age, importance, eligible) in enumerate(told, 1)
    )
    question, shortlist = Question(Scope("a", "u"), query), Shortlist(candidates, WORDS)
    everything = policy.rank(question, shortlist, NOW)
    assert policy.rank(question, shortlist, NOW, most) == everything[:most]
    assert len(everything) == sum(eligible for *_, eligible in told)
    assert everything == sorted(everything, key=lambda r: (r.score.total, r.memory.moment, r.memory.id), reverse=True)


def test_what_a_store_knows_of_the_words_is_not_found_out_again():
    said = candidate(1, counts={"boat": 1}), candidate(2, counts={"boat": 1, "red": 2}), candidate(3)
    worth = tuple(bm25(c.counts, c.length, WORDS) for c in said)
    unknown, known = [Fusion().rank(QUESTION, Shortlist(said, WORDS, found), NOW) for found in (None, worth)]
    assert known == unknown
