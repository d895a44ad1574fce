import pytest

from agent_memory.domain.semantic.cues import Cues, Said


@pytest.mark.parametrize("query", ["Where does she live now?", "Her CURRENT job", "the latest version"])
def test_some_questions_ask_for_the_present(query):
    assert Cues.of(query).present


@pytest.mark.parametrize("query", ["Where did she live?", "What does he know?", "the snow of yesteryear"])
def test_others_do_not(query):
    assert not Cues.of(query).present


@pytest.mark.parametrize(
    "query",
    [
        "Where did she live before?",
        "Where did she live before she moved?",
        "her previous job",
        "What did he use to drive, and what had he used to say?",
        "Who was Ana's old boss?",
        "Where did they ORIGINALLY meet",
    ],
)
def test_some_ask_for_the_past(query):
    assert Cues.of(query).past


@pytest.mark.parametrize(
    "query",
    [
        "What is due before 10 April?",
        "How old is she?",
        "the old town",
        "our old dog Rex",
        "Where did she live?",
        "beforehand",
    ],
)
def test_others_do_not_ask_for_it(query):
    assert not Cues.of(query).past


@pytest.mark.parametrize(
    ("query", "content", "met"),
    [
        ("When did she move?", "She moved last Friday", 1),
        ("When did she move?", "She moved in 2019", 1),
        ("When did she move?", "She moved house", 0),
        ("Where did she move?", "She moved last Friday", 0),
        ("What did Ana buy?", "Ana: I bought a boat", 1),
        ("What did Ana buy?", "ANA MARIA: I bought a boat", 1),
        ("What did Ana buy?", "Bo: Ana, I bought a boat", 0),
        ("What did Ana buy?", "Ana bought a boat", 0),
        ("When did Ana buy a boat?", "Ana: I bought it yesterday", 2),
        ("", "", 0),
        ("when", "12:30", 1),
    ],
)
def test_a_memory_may_meet_them(query, content, met):
    assert Cues.of(query).met_by(Said(content)) == met


def test_long_texts_cost_little():
    assert Cues.of("when " * 400).met_by(Said("a: " * 2600)) == 0
