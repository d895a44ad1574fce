from datetime import UTC, datetime
from uuid import uuid4

import pytest

from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import WordStatistics
from agent_memory.domain.semantic.stemming import stem
from agent_memory.domain.semantic.words import asked_words, bm25, memory_words, word_counts

STATISTICS = WordStatistics(documents=100, mean_length=10, frequencies={"common": 90, "rare": 1})


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [
        ("caresses", "caress"), ("ponies", "poni"), ("cats", "cat"), ("feed", "feed"), ("agreed", "agre"),
        ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("conflated", "conflat"),
        ("hopping", "hop"), ("falling", "fall"), ("filing", "file"), ("happy", "happi"), ("sky", "sky"),
        ("relational", "relat"), ("rational", "ration"), ("digitizer", "digit"), ("operator", "oper"),
        ("feudalism", "feudal"), ("decisiveness", "decis"), ("hopefulness", "hope"), ("formality", "formal"),
        ("sensibility", "sensibl"), ("triplicate", "triplic"), ("electrical", "electr"), ("goodness", "good"),
        ("revival", "reviv"), ("allowance", "allow"), ("airliner", "airlin"), ("adjustable", "adjust"),
        ("replacement", "replac"), ("adoption", "adopt"), ("effective", "effect"), ("probate", "probat"),
        ("rate", "rate"), ("cease", "ceas"), ("controlling", "control"), ("roll", "roll"), ("is", "is"),
    ],
)  # fmt: skip
def test_stems_as_porter_says(word, stemmed):
    assert stem(word) == stemmed


def test_words_that_are_not_english_letters_pass_unchanged():
    assert [stem(word) for word in ("müller", "secret17", "2023")] == ["müller", "secret17", "2023"]


def test_counts_stems_without_stop_words():
    assert word_counts("The cats and a CAT; it isn't the dog's.") == {"cat": 2, "dog": 1}


def test_numbers_count():
    assert word_counts("account 119, code 7") == {"account": 1, "119": 1, "code": 1, "7": 1}


def test_scripts_without_spaces_are_cut_into_pairs():
    assert word_counts("東京に住む") == {"東京": 1, "京に": 1, "に住": 1, "住む": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AWSの請求書", ["aw", "の請", "請求", "求書"]),
        ("コードはXK427です", ["コー", "ード", "ドは", "xk427", "です"]),
        ("３月５日", ["3", "月", "5", "日"]), ("佐々木", ["佐々", "々木"]), ("서울에서", ["서울", "울에", "에서"]),
    ],
)  # fmt: skip
def test_a_word_may_stand_next_to_a_script_without_spaces(text, words):
    assert list(word_counts(text)) == words


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("Café", "Cafe\u0301"), ("İstanbul", "istanbul"), ("كَلِمَة", "كلمة"), ("שָׁלוֹם", "שלום"),
        ("\uff21\uff37\uff33", "AWS"),
        ("STRASSE", "straße"), ("ﾃｽﾄ", "テスト"), ("naïve_plan", "naïve plan"),
    ],
)  # fmt: skip
def test_a_word_is_the_same_however_it_is_written(one, same):
    assert word_counts(one) == word_counts(same) != {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u26a0\ufe0fImportant", ["import"]), ("\u2714\ufe0fPassport", ["passport"]), ("1\ufe0f\u20e3", ["1"]),
        ("iPhone\u2122", ["iphon"]), ("love \u2764\ufe0f", ["love"]), ("10\u00bd", ["10\u00bd"]),
    ],
)  # fmt: skip
def test_a_symbol_is_no_part_of_a_word(text, words):
    assert list(word_counts(text)) == words


def test_the_vowels_of_a_word_are_part_of_it():
    assert word_counts("रीमा दिल्ली में रहती है") == dict.fromkeys(["रीमा", "दिल्ली", "में", "रहती", "है"], 1)
    assert word_counts("राम") != word_counts("रोमा")


def test_rare_words_weigh_more():
    assert bm25({"rare": 1}, 10, STATISTICS) > 5 * bm25({"common": 1}, 10, STATISTICS) > 0


def test_repeats_weigh_less_and_less():
    once, twice, often = (bm25({"rare": n}, 10, STATISTICS) for n in (1, 2, 100))
    assert twice - once < once
    assert often < 2 * once


def test_long_memories_weigh_less():
    assert bm25({"rare": 1}, 100, STATISTICS) < bm25({"rare": 1}, 10, STATISTICS)


def test_no_words_no_score():
    assert bm25({}, 0, WordStatistics(0, 0.0, {})) == 0


def test_a_memory_is_found_by_its_day():
    day = datetime(2023, 5, 8, tzinfo=UTC)
    memory = Memory(MemoryId(uuid4()), Scope("a", "u"), "We went out in May", day)
    assert memory_words(memory) == {"went": 1, "mai": 2, "8": 1, "2023": 1}


@pytest.mark.parametrize(
    ("query", "month", "day"),
    [
        ("paid 2026-01-02", "january", "2"),
        ("what came in 2026-09?", "september", None),
        ("\u4e94\u6708\u8c01\u6765\u5403\u996d?", "may", None),
        ("12\u670831\u65e5\u306e\u4e88\u5b9a", "december", "31"),
        ("\u5341\u4e8c\u6708", "december", None),
        ("3\uc6d4 4\uc77c\uc5d0", "march", "4"),
    ],
)
def test_a_day_in_digits_or_signs_is_asked_for_by_its_words(query, month, day):
    asked = asked_words(query)
    assert {stem(month)} | ({day} if day else set()) <= asked
    assert word_counts(query).keys() <= asked


NO_DAYS = ["2026-13-01", "call 555-0142", "room 12026-01", "three months", "\u4e09\u4e2a\u6708", "13\u6708"]


@pytest.mark.parametrize("query", NO_DAYS)
def test_what_is_no_day_asks_for_none(query):
    assert asked_words(query) == word_counts(query).keys()
