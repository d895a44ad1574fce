"""Where a conversation with a recurrent model is taken up again: only where a state was kept, and so there."""

import pytest
from world import KINDS, FallibleStore, toy

from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.block import Part
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Finished, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId

SYSTEM, QUESTION, OTHER = [1, 2, 0, 1, 1], [2, 2, 0, 1, 0, 0, 2], [0, 1, 2]
pytestmark = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[2]])


class Desk:
    """An engine on a toy model and what it has written, driven by hand."""

    def __init__(self, kind, *, store=None, capacity=50_000, chunk=8, rests=0):
        self.store = store or FallibleStore(100_000)
        self.writer = WriteBehind(self.store, lambda: None)
        self.runtime = toy("toy", kind, rests)
        scheduler = Scheduler(self.runtime.spec, Ledger(self.runtime.spec, capacity), chunk=chunk, max_turns=4)
        self.engine = Engine(self.runtime, TieredBlocks(self.store, self.writer), scheduler)
        self.count = 0

    def submit(self, tokens, *, marks=(), answers=(), count=5):
        self.count += 1
        turn_id = TurnId(f"t{self.count}")
        root = self.engine.namespace("tenant").root
        self.engine.submit(Turn(turn_id, root, list(tokens), count, Sampling(0), marks=marks, answers=answers))
        return turn_id

    def finish(self, *turns):
        answers, cached, open_turns = {turn: [] for turn in turns}, {}, set(turns)
        while open_turns or not self.engine.idle:
            for event in self.engine.step():
                match event:
                    case Started(turn, tokens):
                        cached[turn] = tokens
                    case Said(turn, token):
                        answers[turn].append(token)
                    case Finished(turn, _):
                        open_turns.discard(turn)
            self.writer.drain()
            self.engine.check()
        return [(answers[turn], cached[turn]) for turn in turns]

    def ask(self, tokens, **options):
        return self.finish(self.submit(tokens, **options))[0]

    def states(self):
        return [block.end for block, part in self.store.known() if part is Part.LOCAL]


@pytest.fixture(params=["hot", "restarted"])
def again(request):
    """The same desk, or another on what it has written."""
    if request.param == "hot":
        return lambda desk, kind: desk
    return lambda desk, kind: Desk(kind, store=desk.store)


def test_the_same_prompt_again_is_read_but_for_its_last_token(kind, again):
    desk = Desk(kind)
    first, _ = desk.ask(SYSTEM + QUESTION)
    assert again(desk, kind).ask(SYSTEM + QUESTION) == (first, len(SYSTEM + QUESTION) - 1)


def test_the_next_turn_goes_on_where_the_answer_ended(kind, again):
    desk, prompt = Desk(kind), SYSTEM + QUESTION
    answer, _ = desk.ask(prompt)
    whole = prompt + answer
    _, cached = again(desk, kind).ask(whole + OTHER, answers=((len(prompt), len(whole)),))
    assert cached == len(whole)


def test_an_answer_that_came_back_changed_is_left_where_the_prompt_ended(kind, again):
    desk, prompt = Desk(kind), SYSTEM + QUESTION
    answer, _ = desk.ask(prompt)
    whole = [*prompt, *answer[:-2], (answer[-2] + 1) % 3]
    _, cached = again(desk, kind).ask(whole + OTHER, answers=((len(prompt), len(whole)),))
    assert cached == len(prompt) - 1


def test_the_newest_question_can_be_put_otherwise(kind, again):
    desk, prompt = Desk(kind), SYSTEM + QUESTION
    answer, _ = desk.ask(prompt)
    whole = prompt + answer
    answers = ((len(prompt), len(whole)),)
    desk.ask([*whole, 0, *OTHER], answers=answers)
    _, cached = again(desk, kind).ask([*whole, 1, *OTHER], answers=answers)
    assert cached == len(whole)


def test_the_newest_question_of_a_conversation_read_at_once_can_be_put_otherwise(kind, again):
    desk, whole = Desk(kind), SYSTEM + QUESTION + [1, 1, 0]
    answers = ((len(SYSTEM + QUESTION), len(whole)),)
    desk.ask([*whole, 0, *OTHER], answers=answers)
    _, cached = again(desk, kind).ask([*whole, 1, *OTHER], answers=answers)
    assert cached == len(whole)


def test_conversations_share_a_system_prompt(kind, again):
    desk = Desk(kind)
    desk.ask(SYSTEM + QUESTION, marks=(len(SYSTEM),))
    _, cached = again(desk, kind).ask(SYSTEM + OTHER, marks=(len(SYSTEM),))
    assert cached == len(SYSTEM)


def test_two_that_come_at_once_read_their_system_prompt_once(kind):
    desk = Desk(kind)
    mark = (len(SYSTEM),)
    one, other = desk.submit([*SYSTEM, 0, *QUESTION], marks=mark), desk.submit([*SYSTEM, 1, *OTHER], marks=mark)
    assert [cached for _, cached in desk.finish(one, other)] == [0, len(SYSTEM)]


def test_a_prefill_that_is_given_up_is_taken_up_where_it_stopped(kind):
    desk, prompt = Desk(kind), [n % 3 for n in range(40)]
    turn = desk.submit(prompt)
    running = desk.engine.scheduler.running
    while turn not in running or running[turn].position < 20:
        desk.engine.step()
    position = running[turn].position
    desk.engine.cancel(turn)
    desk.finish()
    cached = desk.ask(prompt)[1]
    assert cached == position if kind[1] == 0 else cached <= position


def test_a_piece_that_is_put_down_for_good_leaves_the_state_where_it_began(kind):
    desk, prompt = Desk(kind, rests=2, chunk=4), [n % 3 for n in range(40)]
    other, turn = desk.submit(OTHER, count=30), desk.submit(prompt)
    running = desk.engine.scheduler.running
    while turn not in running or running[turn].in_hand is None or running[turn].position < 20:
        desk.engine.step()
        desk.writer.drain()
    position = running[turn].position
    for either in (turn, other):
        desk.engine.cancel(either)
    desk.finish()
    # Windows would have had to be kept before it: what it has in common with the other is all there is.
    assert desk.ask(prompt)[1] == (len(OTHER) - 1 if kind[1] else position)


def test_a_preempted_turn_goes_on_from_its_prompt(kind):
    expected, _ = Desk(kind).ask(SYSTEM + QUESTION)
    desk = Desk(kind)
    turn = desk.submit(SYSTEM + QUESTION)
    said = []
    while len(said) < 2:
        said += [event.token for event in desk.engine.step() if isinstance(event, Said)]
    desk.engine.scheduler.preempt(turn)
    while not desk.engine.idle:
        said += [event.token for event in desk.engine.step() if isinstance(event, Said)]
    assert said == expected


def test_a_prompt_that_leaves_a_long_conversation_goes_back_to_a_checkpoint(kind, again):
    desk, prompt = Desk(kind), [n % 3 for n in range(45)]
    desk.ask(prompt)
    _, cached = again(desk, kind).ask([*prompt[:38], (prompt[38] + 1) % 3, 1, 1])
    # Checkpoints: every 16 tokens; none, where states are all that a prompt costs; a window before the prompt's end.
    assert cached == {(True, 0, True): 32, (False, 0, True): 0, (True, 6, True): 36}[kind]


def test_a_long_conversation_keeps_few_states(kind):
    desk, said, answers = Desk(kind), [n % 3 for n in range(30)], ()
    for _ in range(3):
        answer, _ = desk.ask(said, answers=answers)
        answers = (*answers, (len(said), len(said) + len(answer)))
        said = [*said, *answer, 1, 0]
    if not kind[1]:
        assert len(desk.states()) <= 2 * 3 + len(said) // 16


def test_what_a_conversation_has_left_behind_goes_first(kind):
    desk, said, answers = Desk(kind), SYSTEM + QUESTION, ()
    for _ in range(3):
        answer, _ = desk.ask(said, answers=answers)
        answers = (*answers, (len(said), len(said) + len(answer)))
        said = [*said, *answer, 1, 0]
    first = answers[0]
    goes = [block.end for block, part in desk.store.known() if part is Part.LOCAL][:2]
    assert goes == [first[0] - 1, first[1]]
