import pytest

from agent_memory.domain.semantic.cues import Cues, Said


@pytest.mark.parametrize(
    "query",
    [
        "Where does she live now?",
        "Her CURRENT job",
        "the latest version",
        "Wo wohnt sie jetzt?",
        "Où habite-t-elle maintenant ?",
        "¿Dónde vive ahora?",
        "Где она живёт сейчас?",
        "أين تعيش ليلى الآن",
        "今、どこに住んでいますか",
        "她现在住在哪里",
    ],
)
def test_some_questions_ask_for_the_present(query):
    assert Cues.of(query).present


@pytest.mark.parametrize("query", ["Where did she live?", "What does he know?", "the snow of yesteryear", "今年の予定"])
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
        "Where did the Hendersons use to live?",
        "What was the old wifi password?",
        "her prior employer",
        "Who ran it until recently?",
        "How much was it before the change?",
        "What was the price earlier?",
        "How old did I say Gus was before?",
        "Wo hat Katrin früher gewohnt?",
        "Où habitait-elle avant ?",
        "¿Dónde vivía Lucía antes?",
        "Где раньше жила Ольга?",
        "أين كانت تعيش ليلى من قبل؟",
        "健太は以前どこに住んでいましたか",
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
        "What did we decide earlier this week at the meeting?",
        "Is there an earlier flight to Rome?",
        "Earlier today I told you when my flight leaves, when was it?",
        "What did we decide at the previous meeting?",
        "When is the standup, as discussed previously?",
        "As previously mentioned, when does my flight leave?",
        "Could I come to the standup earlier?",
        "What is Ana's address? You have told me before",
        "Send a parcel to Ana's address, as I did before",
        "What is the address of Ana's old school friend?",
        "What does she use to cut bread?",
        "Wer kam früher als Ana?",
        "Qu'est-ce qui est prévu avant midi ?",
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
