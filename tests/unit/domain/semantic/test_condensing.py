import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.semantic.condensing import condense, fitting
from agent_memory.domain.semantic.memory import Condensing, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.retention import Retention, is_lasting, released, standing_for

START = datetime(2026, 1, 1, tzinfo=UTC)


def told(*contents, **fields):
    return [
        Memory(MemoryId(uuid4()), Scope("a", "u"), content, START + timedelta(minutes=minute), **fields)
        for minute, content in enumerate(contents)
    ]


def test_fifty_facts_stay_fifty():
    facts = [f"The password of account {n} is secret{n * 7}." for n in range(50)]
    assert condense(told(*facts)).splitlines() == facts


def test_of_blank_memories_a_blank_one_is_left():
    assert condense(told(" ", "\n\t", " ")) in {" ", "\n\t"}


def test_what_is_said_twice_is_said_once():
    text = condense(told("Ana lives in Oslo.", "It rains.", "ana lives in  Oslo!", "it rains"))
    assert text == "Ana lives in Oslo.\nIt rains."


@pytest.mark.parametrize(
    "contents",
    [
        ("Does Bob drink tea? Yes.", "Does Ann drink tea? No.", "Does Cem drink tea? Yes.", "Does Dan drink tea? No."),
        ("Kitchen:\nwhite", "Bathroom:\nwhite"),
        ("I like jazz. I moved to Rome.", "Who likes jazz? I like jazz."),
    ],
)
def test_what_answers_a_question_or_stands_in_a_list_stays_there(contents):
    assert all(content in condense(told(*contents)) for content in contents)


def test_lines_of_one_memory_stay_together():
    code = "def f(x):\n    return x * 2\n\nf(1)"
    assert condense(told("Before.", code, "After.", "- gym\n- dentist")) == (
        f"Before.\n\n{code}\n\nAfter.\n\n- gym\n- dentist"
    )


def test_each_is_told_under_its_day():
    first, *others = told("Yesterday I moved to Ghent.", "It rains.", "it rains", "It rains.")
    last = [replace(memory, event_time=memory.moment + timedelta(days=40)) for memory in others]
    text = condense([*last, first])
    assert text == "1 January 2026:\nYesterday I moved to Ghent.\n\n10 February 2026:\nIt rains."


def test_the_days_take_their_room():
    told_ones = [
        replace(memory, event_time=START + timedelta(days=place))
        for place, memory in enumerate(told(*(f"{n:03}: {'x' * 150}." for n in range(60))))
    ]
    chosen = fitting(told_ones)
    assert 40 < len(chosen) < 60
    assert all(memory.content in condense(chosen) for memory in chosen)
    assert 7800 < len(condense(chosen)) <= 8000


def test_no_more_are_condensed_than_one_has_tags_for():
    told_ones = [
        replace(memory, tags=frozenset({f"a{place}", f"b{place}"})) for place, memory in enumerate(told(*("x" * 50)))
    ]
    chosen = fitting(told_ones)
    summary = standing_for(chosen, condense(chosen), MemoryId(uuid4()), START)
    assert len(chosen) == 24
    assert all(memory.tags < summary.tags for memory in chosen)
    assert len(fitting([replace(memory, tags=frozenset({"one"})) for memory in told_ones])) == 50


def test_of_long_ones_too_the_days_are_told():
    one, other = told(*(" ".join(f"{who} ran lap {n}." for n in range(500))[:8000] for who in ("Adaly", "Benno")))
    text = condense([one, replace(other, event_time=START + timedelta(days=1))])
    assert len(text) <= 8000
    assert text.index("1 January 2026:") < text.index("Adaly") < text.index("2 January 2026:") < text.index("Benno")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("She is allergic to nuts.", "She is not allergic to nuts."), ("Ann paid Bob.", "Bob paid Ann."),
        ("It was 5 degrees.", "It was -5 degrees."), ("a < b", "a > b"), ("C++ is fun.", "C is fun."), ("★", "☆"),
    ],
)  # fmt: skip
def test_sentences_of_the_same_words_may_say_different_things(one, other):
    assert condense(told(one, other)).splitlines() == [one, other]


def test_an_abbreviation_ends_no_sentence():
    visits = [f"On 3 May {who} met Dr. Novak at St. Mary's with J. Doe." for who in ("Ana", "Bo")]
    assert condense(told(*visits)).splitlines() == visits


def test_short_and_foreign_sentences_count():
    sentences = ["No.", "Sí.", "彼は東京に住んでいます。", "Он живёт в Москве.", "💥"]
    assert condense(told(*sentences)).splitlines() == sentences


def test_the_order_of_time_is_kept():
    memories = told("First.", "Second.", "Third.")
    assert condense(memories[::-1]) == "First.\nSecond.\nThird."


def test_facts_outlast_small_talk():
    talk = [f"Well you know it was really quite nice and so on and so forth again {'la ' * n}" for n in range(60)]
    facts = ["Her flight BA117 leaves on 3 May.", "Dr Novak prescribed Ibuprofen."]
    text = condense(told(*(f"{line}. {fact}" for line, fact in zip(talk, facts, strict=False)), *talk), longest=300)
    assert all(fact in text for fact in facts)


def test_every_memory_keeps_a_sentence_while_there_is_room():
    long = " ".join(f"Fact {n} about Berlin is number {n * 13}." for n in range(200))
    text = condense(told(long, "She likes tea.", "He is ill."), longest=1000)
    assert "She likes tea." in text
    assert "He is ill." in text
    assert len(text) <= 1000


def test_the_worst_that_fits_takes_less_than_a_second():
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghij", k=dice.randint(1, 9))) for _ in range(5000)]
    shapes = ["x" * 8000, "a." * 4000, "東" * 8000, "1 " * 4000, " ".join(dice.choices(words, k=1200))[:8000]]
    memories = told(*(shapes[n % 5][: 8000 - n] for n in range(50)))
    started = time.process_time()  # of ours: the machine may have other things to do
    text = condense(memories)
    assert time.process_time() - started < 1
    assert 0 < len(text) <= 8000


def test_what_stands_for_memories_is_as_old_as_the_newest_and_as_important_as_the_most_important():
    sources = [replace(each, importance=weight) for each, weight in zip(told(*"abc"), (0.5, 2, 0.5), strict=True)]
    memory = standing_for(sources, "a b", MemoryId(uuid4()), START + timedelta(days=9))
    assert (memory.moment, memory.created_at) == (sources[-1].created_at, START + timedelta(days=9))
    assert (memory.importance, memory.memory_type) == (2.0, MemoryType.SEMANTIC)
    assert memory.metadata["condensed"]["memories"] == 3
    assert memory.is_summary


@pytest.mark.parametrize(("threshold", "batch"), [(100, 101), (100, 1), (1, 1)])
def test_a_batch_is_2_to_the_threshold(threshold, batch):
    with pytest.raises(Misconfigured):
        Retention(threshold, batch)


@pytest.mark.parametrize("length", [60, 150, 233, 400, 3900])
def test_what_is_condensed_together_is_told_whole(length):
    facts = [
        f"Contract {n * 7919} was signed by Ann{n}. {'Nothing else happened. ' * 200}"[: length - 7] for n in range(50)
    ]
    told_ones = told(*(f"{fact} No {n}." for n, fact in enumerate(facts)))
    chosen = fitting(told_ones)
    assert 2 <= len(chosen) == min(50, len(chosen))
    assert chosen == told_ones[: len(chosen)]
    text = condense(chosen)
    assert len(text) <= 8000
    assert all(f"Contract {n * 7919} was signed by Ann{n}." in text for n in range(len(chosen)))


def test_as_many_are_condensed_together_as_fit():
    told_ones = told(*(f"{n:03}: {'x' * 150}." for n in range(60)))
    chosen = fitting(told_ones)
    assert condense(chosen).splitlines() == [each.content for each in chosen]
    assert len(chosen) == 8000 // len(told_ones[0].content + "\n")


def test_two_that_do_not_fit_are_condensed_to_what_tells_most_and_no_other_with_them():
    names = ("Adaly", "Benno", "Carol")
    laps = {name: " ".join(f"{name} ran lap {n}." for n in range(250)) for name in names}
    told_ones = told(*(f"{name} has won. {laps[name]}" for name in names))
    assert fitting(told_ones) == told_ones[:2]
    told_in_short = condense(told_ones[:2]).splitlines()
    assert {line.split()[0] for line in told_in_short} == set(names[:2])
    assert len("\n".join(told_in_short)) > 7900


@pytest.mark.parametrize(
    ("contents", "chosen"),
    [
        (["a" * 7900, "Tea.", "b" * 7900, "Rice.", "c" * 3000, "d" * 4100], [1, 3, 4]),
        (["a" * 7900, "b" * 7900, "Tea."], [0, 2]),
        (["a" * 7900, "b" * 4500, "c" * 3450], [1, 2]),
    ],
)
def test_what_would_leave_the_others_no_room_is_left_as_it_is(contents, chosen):
    told_ones = told(*contents)
    assert fitting(told_ones) == [told_ones[place] for place in chosen]
    assert all(contents[place] in condense(fitting(told_ones)) for place in chosen)


def test_to_find_what_fits_takes_next_to_no_time():
    told_ones = [
        replace(memory, event_time=START + timedelta(days=place))
        for place, memory in enumerate(told(*(f"{n}" + "a\u200b" * 1997 for n in range(200))))
    ]
    started = time.process_time()
    assert fitting(told_ones) == told_ones[:2]
    assert time.process_time() - started < 0.5


def test_two_that_nearly_fit_lose_next_to_nothing():
    """Entries of a list recur, and each is one of its own."""
    entries = ("gym", "call mum", "dentist", "choir")
    plans = [
        "\n\n".join(f"Day {n} of {who}:\n- {entries[n % 4]}\n- {entries[n % 3]}\n- the chapter {n}" for n in range(78))
        for who in ("Adaly", "Benno")
    ]
    assert 8000 < sum(map(len, plans)) < 9000
    text = " ".join(condense(fitting(told(*plans))).split())
    whole = [
        f"Day {n} of {who}: - {entries[n % 4]} - {entries[n % 3]}" for n in range(78) for who in ("Adaly", "Benno")
    ]
    assert sum(day in text for day in whole) > 140


def test_an_answer_stays_with_its_question():
    asked = [
        f"Does {who}{n} drink tea with milk? {'Yes' if n % 3 else 'No'}." for n in range(130) for who in ("Al", "Bo")
    ]
    text = condense(told(" ".join(asked[::2]), " ".join(asked[1::2]), " ".join(asked[::2])))
    kept = [question for question in asked if question.split("?")[0] in text]
    assert len(kept) > 200
    assert all(question in text for question in kept)


def test_what_all_sources_carry_stays():
    sources = [
        *told("a", metadata={"channel": "email", "thread": 1}),
        *told("b", metadata={"channel": "email", "thread": True}),
    ]
    assert standing_for(sources, "a b", MemoryId(uuid4()), START).metadata.keys() == {"channel", "condensed"}


def test_what_was_restored_is_not_due_again():
    [memory] = told("Ann paid Bob.", metadata={"channel": "email"})
    again = released(replace(memory, superseded_by=MemoryId(uuid4()), superseded_at=START))
    assert again == replace(memory, condensing=Condensing.RESTORED)
    assert is_lasting(memory, START + timedelta(days=1))
    assert not is_lasting(again, START + timedelta(days=1))
