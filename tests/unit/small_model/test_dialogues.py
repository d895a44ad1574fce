from itertools import islice, pairwise
from random import Random

import pytest
from training.small_model import values
from training.small_model.dialogues import Message, conversations
from training.small_model.kinds import FAMILIES, PLAIN, any_kind
from training.small_model.people import USER, named, relative


def dialogues(seed: int, *, testing: bool = False, count: int = 40) -> list[list[Message]]:
    return list(islice(conversations(seed, 2000, lambda message: len(message.content), testing=testing), count))


def told_values(testing: bool) -> list[str]:
    """Values in their own case; a question of two facts is marked by its last one."""
    return [message.key for talk in dialogues(3, testing=testing) for message in talk if message.key]


def test_the_same_seed_gives_the_same_dialogues():
    assert dialogues(1) == dialogues(1)
    assert dialogues(1) != dialogues(2)


def test_no_held_out_value_is_asked_for_in_training():
    assert not any(values.held_out(value) for value in told_values(testing=False))


def test_only_held_out_values_are_asked_for_in_the_examination():
    assert all(values.held_out(value) for value in told_values(testing=True))


def test_an_answer_contains_what_was_told():
    for talk in dialogues(4):
        for place, message in enumerate(talk):
            if message.key and place:
                told = " ".join(earlier.content for earlier in talk[:place]).lower()
                assert message.key in message.content
                assert message.key.lower() in told


def test_a_user_turn_is_answered_by_one_assistant_turn():
    for talk in dialogues(5):
        roles = [message.role for message in talk]
        assert all(after == "assistant" for before, after in pairwise(roles) if before == "tool")
        assert "assistant" not in {before for before, after in pairwise(roles) if after == before}


@pytest.mark.parametrize("kind", [*PLAIN, *FAMILIES.values()], ids=lambda kind: kind.key)
def test_every_telling_has_exactly_one_place_for_its_value(kind):
    for template in (*kind.tellings, *kind.changes, kind.answer):
        assert template.count("{v}") == 1, template


def test_every_kind_can_be_put_into_every_voice():
    rng = Random(1)
    for _ in range(300):
        kind = any_kind(rng)
        for person in (USER, relative("sister"), named("Ada")):
            for template in (*kind.tellings, *kind.direct, *kind.clauses, kind.gap):
                assert "[" not in person.told.say(template)


def test_verbs_follow_their_subject():
    assert USER.told.say("where [do] [S] live") == "where do I live"
    assert USER.answered.say("[S] [live] in {v}") == "you live in {v}"
    assert USER.noted.say("[P] dog") == "the user's dog"
    assert named("Maria").told.say("[S] [carry] [P] key") == "Maria carries Maria's key"
