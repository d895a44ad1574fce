"""What is only read: when nobody else wants to run, for a turn that is to come."""

from toy_desk import ToyDesk

from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.queue import MAX_LATER
from agent_memory.domain.kv.turn import Turn, TurnId

SAID = [0, 1, 2, 0, 1, 2, 2, 1, 0, 1]


def rehearse(desk, tokens, name="r", agent=None):
    root = desk.engine.namespace("t").root
    agent = None if agent is None else AgentName("t", agent)
    desk.engine.rehearse(Turn(TurnId(name), root, list(tokens), 0, only_read=True, agent=agent))


def test_a_turn_finds_all_of_it():
    desk = ToyDesk()
    rehearse(desk, SAID)
    assert desk.settle() == []
    assert desk.ask([*SAID, 2, 2])[1] == len(SAID)


def test_a_turn_that_it_leads_to_waits_for_it():
    desk = ToyDesk()
    rehearse(desk, SAID)
    assert desk.ask([*SAID, 2, 2])[1] == len(SAID)


def test_another_turn_does_not_wait():
    desk = ToyDesk()
    rehearse(desk, SAID * 4)
    desk.engine.step()
    desk.engine.step()
    [rehearsal] = desk.engine.scheduler.running
    other = desk.submit([2, 2, 0])
    while rehearsal in desk.engine.scheduler.running:
        desk.engine.step()
    assert [turn.id for turn in desk.engine.scheduler.queue.later] == [rehearsal]
    assert desk.engine.scheduler.running.keys() <= {other.id}
    desk.settle()
    assert desk.ask([*SAID * 4, 2])[1] == len(SAID) * 4


def test_it_is_no_turn_in_the_figures():
    desk = ToyDesk()
    rehearse(desk, SAID)
    desk.settle()
    assert desk.engine.stats().prompt_tokens_total == 0


def test_what_is_known_is_not_read_again():
    desk = ToyDesk()
    desk.ask(SAID)
    rehearse(desk, SAID[:-1])
    assert not desk.engine.scheduler.queue.later


def test_of_too_many_the_oldest_are_forgotten():
    desk = ToyDesk()
    for number in range(MAX_LATER + 3):
        rehearse(desk, [number, *SAID], f"r{number}")
    assert [turn.id for turn in desk.engine.scheduler.queue.later] == [f"r{n}" for n in range(3, MAX_LATER + 3)]


def test_what_is_read_for_an_agent_is_the_agents():
    desk = ToyDesk()
    desk.ask(SAID, "ada")
    before = desk.holdings._book.get(AgentName("t", "ada"))
    rehearse(desk, [*SAID, 0, 0, 0, 0, 0, 0, 0], agent="ada")
    desk.settle()
    after = desk.holdings._book.get(AgentName("t", "ada"))
    assert after.turns == before.turns
    assert len(after.blocks) > len(before.blocks)
    rehearse(desk, [*SAID, 1, 1, 1], agent="nobody")
    desk.settle()
    assert desk.holdings._book.find(AgentName("t", "nobody")) is None
