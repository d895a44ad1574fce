"""Facts that are told and asked for."""

from itertools import islice

from agent_memory.domain.kv.probe import FACTS, facts, talk, telling


def test_each_conversation_has_one_fact_of_each_kind_and_values_of_its_own():
    one, other = facts(1), facts(2)
    assert len(one) == len({fact.asked for fact in one}) == FACTS
    assert {fact.asked for fact in one} == {fact.asked for fact in other}
    assert not {fact.value for fact in one} & {fact.value for fact in other}
    assert facts(1) == one


def test_a_fact_is_told_by_the_user_and_acknowledged():
    messages = telling(facts(3))
    assert [message.role for message in messages[:2]] == ["user", "assistant"]
    assert all(fact.value in message.content for fact, message in zip(facts(3), messages[::2], strict=True))


def test_a_value_is_recalled_in_any_case_and_with_spaces_between_digits():
    code = next(fact for fact in facts(4) if fact.value.isdigit())
    assert code.recalled_in(f"It is {' '.join(code.value)}.")
    assert not code.recalled_in("I don't know.")
    name = next(fact for fact in facts(4) if fact.value.isalpha())
    assert name.recalled_in(f"**{name.value.upper()}**, you said.")


def test_talk_goes_round_the_paragraphs_of_a_text():
    text = "\n".join(f"Paragraph {number} is here to be read by somebody." for number in range(3))
    pieces = [said.content for said, _ in islice(talk(text, seed=0), 6)]
    assert pieces[:3] == pieces[3:]
    assert sorted(pieces[:3]) == text.split("\n")


def test_a_text_without_paragraphs_is_one():
    (said, _), *_ = islice(talk("a b\nc d\n", seed=0), 2)
    assert said.content == "a b c d"
