"""Scheduler: who is next, what is kept, and what is refused."""

from itertools import pairwise

import pytest

from agent_memory.domain.errors import DeadlineExceeded, InvalidInput, Overloaded
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind
from agent_memory.domain.kv.steps import (
    Decode,
    Failed,
    Finished,
    Idle,
    Kept,
    Prefill,
    Read,
    Restore,
    Restored,
    Retire,
    Rewind,
    Said,
    Sampled,
    Save,
    Started,
)
from agent_memory.domain.kv.turn import Turn, TurnId

SPEC = CacheSpec((Layer(LayerKind.FULL, 1, 64, 64),), Precision(16), block_tokens=4)
ROOT = Namespace("t", "m", "s").root


def scheduler(capacity=1 << 20, **settings):
    return Scheduler(SPEC, Ledger(SPEC, capacity), **settings)


def turn(name="a", tokens=5, max_tokens=2):
    return Turn(TurnId(name), ROOT, list(range(tokens)), max_tokens, stop_tokens=frozenset({99}))


def begin(desk, a_turn):
    desk.submit(a_turn)
    restore = desk.plan()
    assert isinstance(restore, Restore)
    return desk.absorb(restore, Restored())


def outcome(step):
    """What an engine would say that has nothing stored."""
    return {Save: Kept(), Restore: Restored(), Prefill: Read()}.get(type(step))


def read(desk):
    """Absorb prefills and saves until something else is planned."""
    while isinstance(step := desk.plan(), Prefill | Save):
        desk.absorb(step, outcome(step))
    return step


def test_a_turn_is_restored_read_answered_read_again_saved_and_retired():
    desk, one = scheduler(), turn()
    assert begin(desk, one) == [Started(one.id, 0)]
    prefill = desk.plan()
    assert (prefill.start, prefill.stop) == (0, 4)
    desk.absorb(prefill, Read())
    save = desk.plan()
    assert isinstance(save, Save)
    assert [block.start for block in save.blocks] == [0]
    desk.absorb(save, Kept())
    assert desk.absorb(desk.plan(), Sampled((7,))) == [Said(one.id, 7)]
    assert desk.absorb(desk.plan(), Sampled((8,))) == [Said(one.id, 8), Finished(one.id, "length")]
    assert desk.plan() == Rewind(one)
    desk.absorb(Rewind(one), None)
    reread = desk.plan()
    assert (reread.start, reread.stop) == (4, 7)  # with the prompt's last token, the first that was fed
    desk.absorb(reread, Read())
    tail = desk.plan()
    assert isinstance(tail, Save)
    assert [(block.start, len(block)) for block in tail.blocks] == [(4, 3)]
    desk.absorb(tail, Kept())
    assert desk.plan() == Retire(one, park=True)
    desk.absorb(Retire(one), None)
    assert desk.plan() == Idle()
    assert desk.ledger.pool.used == 0


def test_a_stop_token_ends_the_answer():
    desk, one = scheduler(), turn()
    begin(desk, one)
    assert desk.absorb(read(desk), Sampled((99,)))[-1] == Finished(one.id, "stop")


def test_prefill_chunks_end_at_multiples_of_the_chunk():
    desk, one = scheduler(chunk=8), turn(tokens=19)
    begin(desk, one)
    stops = []
    while not isinstance(step := desk.plan(), Decode):
        if isinstance(step, Prefill):
            stops.append((step.start, step.stop))
        desk.absorb(step, outcome(step))
    assert stops == [(0, 8), (8, 16), (16, 18)]


def test_a_prefill_is_cut_where_earlier_answers_began_and_ended():
    desk = scheduler(chunk=16)
    one = Turn(TurnId("a"), ROOT, list(range(30)), 2, answers=((7, 12), (20, 22)))
    stops = []
    while one.position < 30:
        stops.append(one.next_stop(16, 30))
        one.position = stops[-1]
    assert stops == [6, 12, 16, 19, 22, 29, 30]
    assert desk.plan() == Idle()


def test_half_an_answer_is_not_reused():
    desk = scheduler()
    blocks = [CacheBlock.after(ROOT, 0, pack([0, 1, 2, 3]))]
    desk.ledger.index.add(blocks[0], local=False)
    desk.submit(Turn(TurnId("a"), ROOT, [0, 1, 2, 9, 9, 9], 2, answers=((2, 5),)))
    assert desk.plan().length == 1


def test_a_decoding_turn_waits_for_one_chunk_at_most():
    desk = scheduler(chunk=4, max_turns=2)
    first, second = turn("a", tokens=3, max_tokens=50), turn("b", tokens=15)
    begin(desk, first)
    desk.absorb(read(desk), Sampled((1,)))
    begin(desk, second)
    kinds = []
    for _ in range(12):
        step = desk.plan()
        kinds.append(type(step))
        if isinstance(step, Decode):
            desk.absorb(step, Sampled((1,) * len(step.turns)))
        else:
            desk.absorb(step, outcome(step))
    compute = [kind for kind in kinds if kind is not Save]
    assert all(pair != (Prefill, Prefill) for pair in pairwise(compute))


def test_only_so_many_turns_run_at_once():
    desk = scheduler(max_turns=1)
    begin(desk, turn("a"))
    desk.submit(turn("b"))
    assert isinstance(desk.plan(), Prefill)


def test_a_full_queue_says_when_to_come_back():
    desk = scheduler(max_waiting=1)
    desk.submit(turn("a"))
    with pytest.raises(Overloaded, match="1 turns are waiting") as caught:
        desk.submit(turn("b"))
    assert caught.value.retry_after > 0


def test_a_turn_that_can_never_fit_is_refused_with_the_numbers():
    with pytest.raises(InvalidInput, match=r"5 prompt tokens and max_tokens 100000 need .* the budget is 1 MB"):
        scheduler().submit(turn(max_tokens=100_000))


def test_the_next_turn_waits_until_the_last_is_put_away():
    desk, one = scheduler(), turn(tokens=6, max_tokens=1)
    begin(desk, one)
    desk.absorb(read(desk), Sampled((7,)))
    desk.submit(Turn(TurnId("next"), ROOT, [*range(6), 7, 8, 9], 1))
    desk.submit(Turn(TurnId("other"), ROOT, [9, 9, 9], 1))
    while not isinstance(step := desk.plan(), Restore):
        desk.absorb(step, outcome(step))
    assert step.turn.id == "other"
    while TurnId("next") not in desk.running:
        desk.absorb(step, outcome(step))
        step = desk.plan()
        if isinstance(step, Decode):
            desk.fail(step.turns, RuntimeError())
    assert step.length == 7


def test_a_turn_that_begins_like_one_being_read_waits_for_it():
    desk = scheduler(chunk=4)
    begin(desk, turn("a", tokens=20))
    desk.submit(turn("b", tokens=20))
    assert isinstance(desk.plan(), Prefill)


def test_a_turn_waits_until_there_is_room():
    needs = scheduler()._needs(turn())
    desk = scheduler(capacity=needs + 10)
    begin(desk, turn("a"))
    desk.submit(turn("b"))
    assert not isinstance(desk.plan(), Restore)
    desk.fail((desk.running[TurnId("a")],), RuntimeError())
    assert isinstance(desk.plan(), Restore)


def test_cancelling_keeps_what_is_computed():
    desk, one = scheduler(), turn()
    begin(desk, one)
    desk.absorb(desk.plan(), Read())
    assert isinstance(desk.plan(), Save)
    assert desk.cancel(one.id) == [Finished(one.id, "cancelled")]
    assert isinstance(desk.plan(), Save)
    assert desk.cancel(one.id) == []


def test_cancelling_a_waiting_turn_removes_it():
    desk = scheduler()
    desk.submit(turn())
    assert desk.cancel(TurnId("a")) == [Finished(TurnId("a"), "cancelled")]
    assert desk.plan() == Idle()


def test_a_failed_turn_gives_its_room_back_and_says_why():
    desk, one = scheduler(), turn()
    begin(desk, one)
    error = RuntimeError("no")
    assert desk.fail((one,), error) == [Failed(one.id, error)]
    assert desk.ledger.pool.used == 0
    assert desk.plan() == Idle()


def finish(desk, name, tokens, said=(7, 8)):
    """One whole turn; the Restore that it began with."""
    one = Turn(TurnId(name), ROOT, list(tokens), len(said))
    desk.submit(one)
    words = iter(said)
    while not isinstance(step := desk.plan(), Idle):
        if isinstance(step, Restore):
            first = step
        sizes = tuple((PartKey(block.hash, Part.LASTING), 10) for block in getattr(step, "blocks", ()))
        told = {Save: Kept(sizes), Decode: Sampled((next(words),)) if isinstance(step, Decode) else None}
        desk.absorb(step, told.get(type(step), outcome(step)))
    return first


def test_the_next_turn_goes_on_in_the_cache_of_the_last():
    desk = scheduler()
    assert finish(desk, "a", range(6)).parked is None
    held = desk.ledger.pool.used
    following = finish(desk, "b", [*range(6), 7, 8, 9])
    assert (following.parked, following.length, following.keys) == (TurnId("a"), 8, [])
    assert list(desk.ledger.parking) == ["b"]
    assert desk.ledger.pool.used > held


def test_a_parked_cache_serves_one_turn_at_a_time():
    desk = scheduler()
    finish(desk, "a", range(6))
    for name in ("b", "c"):
        desk.submit(Turn(TurnId(name), ROOT, [*range(6), 7, 8, 9], 1))
    step = desk.plan()
    assert step.parked == "a"
    desk.absorb(step, Restored())
    assert desk.ledger.parking.find(ROOT, step.turn.tokens, 8) is None


def test_a_parked_cache_gives_way_to_a_turn_that_needs_the_room():
    desk = scheduler()
    finish(desk, "a", range(6))
    needs = desk._needs(turn("b", tokens=5))
    desk.ledger.pool.capacity = desk.ledger.pool.used + needs - 1
    finish(desk, "b", [9] * 5)
    assert "a" in desk.ledger.towed
    desk.check()


def test_a_parked_cache_that_is_taken_over_makes_room_for_its_turn():
    desk = scheduler()
    finish(desk, "a", range(6))
    following = Turn(TurnId("b"), ROOT, [*range(6), 7, 8, 9], 1)
    desk.ledger.pool.capacity = desk._needs(following) + 30  # the blocks of a beside it
    desk.submit(following)
    step = desk.plan()
    assert step.parked == "a"
    assert "a" not in desk.ledger.towed


def test_what_is_forgotten_is_not_left_in_a_parked_cache():
    desk = scheduler()
    restore = finish(desk, "a", range(6))
    block = desk.ledger.index.match(ROOT, pack(range(6)), 6).blocks[0]
    desk.ledger.forget(PartKey(block.hash, Part.LASTING))
    assert desk.ledger.towed == [restore.turn.id]
    desk.check()


def test_a_piece_is_put_down_while_others_speak_and_taken_up_again():
    desk = scheduler(chunk=4, max_turns=2, max_stall=0.25)
    speaker, reader = turn("a", tokens=3, max_tokens=50), turn("b", tokens=15)
    begin(desk, speaker)
    assert desk.plan().seconds is None
    desk.absorb(read(desk), Sampled((1,)))
    begin(desk, reader)
    first = desk.plan()
    assert (first.start, first.stop, first.begun, first.seconds) == (0, 4, False, 0.25)
    desk.absorb(first, Read(done=False))
    assert desk.plan() == Decode((speaker,))
    desk.absorb(desk.plan(), Sampled((1,)))
    again = desk.plan()
    assert (again.start, again.stop, again.begun) == (0, 4, True)
    desk.absorb(again, Read())
    assert reader.position == 4


def test_a_restore_that_was_put_down_is_finished_before_the_turn_speaks():
    desk = scheduler(max_turns=2)
    finish(desk, "old", range(6))
    speaker = turn("a", tokens=3, max_tokens=50)
    begin(desk, speaker)
    desk.absorb(read(desk), Sampled((1,)))
    desk.submit(Turn(TurnId("b"), ROOT, [*range(6), 7, 8], 1))
    restore = desk.plan()
    desk.absorb(restore, Restored(done=False))
    assert desk.plan() == Decode((speaker,))
    desk.absorb(desk.plan(), Sampled((1,)))
    step = desk.plan()
    assert isinstance(step, Prefill)
    assert (step.start, step.stop, step.begun) == (7, 7, True)
    desk.absorb(step, Read())
    assert len(desk.plan().turns) == 2


def test_whoever_speaks_says_a_token_before_what_was_read_is_kept():
    desk = scheduler(chunk=4, max_turns=2)
    speaker, reader = turn("a", tokens=3, max_tokens=50), turn("b", tokens=9)
    begin(desk, speaker)
    desk.absorb(read(desk), Sampled((1,)))
    begin(desk, reader)
    for start in (0, 4):
        piece = desk.plan()
        assert (piece.turn, piece.start) == (reader, start)
        desk.absorb(piece, Read())
        assert desk.plan() == Decode((speaker,))
        desk.absorb(desk.plan(), Sampled((1,)))
        kept = desk.plan()
        assert isinstance(kept, Save)
        desk.absorb(kept, Kept())
    assert desk.plan() == Decode((speaker, reader))


def test_a_short_prompt_is_not_kept_waiting_by_a_long_one():
    desk = scheduler(chunk=4, max_turns=2)
    begin(desk, turn("long", tokens=100))
    desk.absorb(desk.plan(), Read())
    desk.absorb(desk.plan(), Kept())
    begin(desk, Turn(TurnId("short"), ROOT, [50 + n for n in range(9)], 1))
    pieces = []
    while not isinstance(step := desk.plan(), Decode):
        pieces += [step.turn.id] if isinstance(step, Prefill) else []
        desk.absorb(step, outcome(step))
    assert pieces.count("short") == 2
    assert pieces.count("long") <= 2


def test_a_turn_whose_time_is_up_fails_wherever_it_is():
    desk = scheduler(max_turns=1)
    running, waiting, patient = turn("a"), turn("b"), turn("c")
    running.deadline, waiting.deadline = 10.0, 11.0
    begin(desk, running)
    desk.submit(waiting)
    desk.submit(patient)
    assert desk.expire(9.0) == []
    assert [(event.turn, type(event.error)) for event in desk.expire(12.0)] == [
        ("a", DeadlineExceeded),
        ("b", DeadlineExceeded),
    ]
    assert desk.expire(13.0) == []
    assert list(desk.queue.waiting) == [patient]


def test_an_agent_with_many_turns_does_not_keep_another_waiting():
    desk = scheduler(max_turns=2)
    for number in range(4):
        greedy = Turn(TurnId(f"greedy {number}"), ROOT, [number] * 5, 50, agent=AgentName("t", "greedy"))
        desk.submit(greedy)
    desk.submit(Turn(TurnId("modest"), ROOT, [9] * 5, 50, agent=AgentName("t", "modest")))
    begun = []
    while len(begun) < 2:
        step = desk.plan()
        begun += [step.turn.id] if isinstance(step, Restore) else []
        desk.absorb(step, Sampled((1,) * len(step.turns)) if isinstance(step, Decode) else outcome(step))
    assert begun == ["greedy 0", "modest"]
