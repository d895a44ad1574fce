from datetime import UTC, datetime
from uuid import uuid4

import pytest

from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.passages import worth_by_words
from agent_memory.domain.semantic.recall import Candidate, Shortlist, WordStatistics
from agent_memory.domain.semantic.words import LONGEST_COUNTED, bm25, word_counts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILLER = " ".join(f"Somebody talked about matter number {n}." for n in range(60))


def candidate(content, query):
    counts = word_counts(content)
    said = {word: counts[word] for word in word_counts(query) if word in counts}
    memory = Memory(MemoryId(uuid4()), Scope("a", "u"), content, NOW)
    return Candidate.of(memory, 1, 0.5, said, sum(counts.values()))


def worths(contents, query):
    statistics = WordStatistics(100, 12.0, dict.fromkeys(word_counts(query), 3))
    return worth_by_words(Shortlist(tuple(candidate(content, query) for content in contents), statistics))


def worth(content, query):
    [found] = worths([content], query)
    return found


@pytest.mark.parametrize(
    ("query", "together", "apart"),
    [
        ("Ada's dentist", "Ada likes her dentist.", ("Ada is here.", "The dentist is not.")),
        ("happiness of dancing", "She was happy and danced.", ("She was happy.", "He danced.")),
        ("東京の天気", "東京の天気は良い。", ("東京です。", "天気です。")),
        ("C++ (2026)?", "C in 2026", ("C.", "In 2026.")),
    ],
)
def test_words_that_stand_together_are_worth_more(query, together, apart):
    whole = worth(f"{FILLER} {together} {FILLER}", query)
    assert whole > 1.2 * worth(f"{apart[0]} {FILLER} {FILLER} {apart[1]}", query) > 0
    assert whole == pytest.approx(worth(f"{together} {FILLER}", query))


def test_a_short_memory_is_worth_what_bm25_says():
    counts = word_counts("Ada likes her dentist.")
    statistics = WordStatistics(100, 12.0, {"ada": 3, "dentist": 3})
    of_query = {"ada": 1, "dentist": 1}
    assert worth("Ada likes her dentist.", "Ada's dentist") == bm25(of_query, sum(counts.values()), statistics)


def test_no_memory_is_too_long_to_be_found():
    statistics = WordStatistics(100, 12.0, {"ada": 3})
    assert bm25({"ada": 1}, LONGEST_COUNTED, statistics) == bm25({"ada": 1}, 2000, statistics)


def test_a_word_that_is_found_in_no_form_does_no_harm():
    assert worth(f"naïve façade {FILLER}", "naïve façade") > 0


def test_of_very_many_long_ones_those_are_read_that_say_most():
    apart, together = f"Ada is here. {FILLER} {FILLER} The dentist is not.", f"{FILLER} Ada's dentist. Ada's dentist."
    *others, best = worths([*[apart] * 200, together], "Ada's dentist")
    assert best > 1.2 * max(others)
    assert len(set(others)) == 1
