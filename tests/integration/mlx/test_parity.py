"""The cached path equals the uncached path, on real models of each attention kind and at each precision."""

import random
import shutil

import pytest
from models import CONFIGS, make_model

from agent_memory.adapters.mlx.loading import load_model
from agent_memory.domain.kv.attention import AttentionChoice
from agent_memory.domain.kv.block import Part, PartKey
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.turn import Sampling

RECURRENT = ["qwen3_next", "mamba2", "falcon_h1", "recurrent_gemma"]
PACKED = [f"{kind}, packed" for kind in CONFIGS]
KINDS = pytest.mark.parametrize("kind", [*CONFIGS, *PACKED])
ODD = ["llama", "gemma3_text", "gemma3_wide", "deepseek_v3", "deepseek_v32", "llama, packed", "gemma3_text, packed"]
ODD += [*RECURRENT, "qwen3_next, packed"]
EDGES = pytest.mark.parametrize("kind", ODD)
ROUNDED = [(kind, bits) for kind in (*CONFIGS, *PACKED) for bits in (4, "k8v4")]
FINER = [(kind, 16) for kind in (*CONFIGS, "gemma3_text, packed")]
FINER += [(kind, 8) for kind in ("llama", "gemma3_text", "deepseek_v3", "qwen3_next", "gemma3_text, packed")]


def text(length, seed=0):
    dice = random.Random(seed)
    return [dice.randrange(250) for _ in range(length)]


@pytest.mark.parametrize(("kind", "bits"), [*ROUNDED, *FINER])
def test_a_conversation_goes_on_as_if_it_were_read_anew(kind, bits, load, bench, tmp_path):
    runtime = load(kind, bits).runtime
    hot, warm, said, answers = bench(runtime, "hot"), bench(runtime, "warm"), text(700), ()
    answer, _ = hot.ask(said)
    assert warm.ask(said) == (answer, 0)
    assert_same_blocks(hot.store, warm.store)
    shutil.copytree(tmp_path / "hot", tmp_path / "disk")
    for number in (1, 2):
        before = len(said) + len(answer)
        answers = (*answers, (len(said), before))
        said = said + answer + text(40, seed=number)
        fresh = bench(runtime, f"fresh{number}")
        expected, nothing = fresh.ask(said, answers=answers)
        restarted, from_disk = bench(runtime, "disk").ask(said, answers=answers)
        answer, cached = hot.ask(said, answers=answers)
        assert hot.engine.stats().turns_parked == 1, "the parked cache was not taken over"
        warm.tow()
        unpacked, from_memory = warm.ask(said, answers=answers)
        assert restarted == unpacked == answer == expected
        assert nothing == 0
        assert from_disk == from_memory == cached == before, "the turn before was read again"
        assert_same_blocks(hot.store, fresh.store)
        assert_same_blocks(warm.store, fresh.store)


@EDGES
def test_what_was_read_beforehand_is_as_if_it_were_read_anew(kind, load, bench):
    runtime = load(kind).runtime
    hot, fresh, said = bench(runtime, "hot"), bench(runtime, "fresh"), text(700)
    hot.ask(said)
    begun = said + text(300, seed=1)
    answers = ((len(said), len(begun)),)
    hot.rehearse(begun, answers)
    following = begun + text(40, seed=2)
    expected, _ = fresh.ask(following, answers=answers)
    hot.tow()
    answer, cached = hot.ask(following, answers=answers)
    assert answer == expected
    assert cached == len(begun)
    assert_same_blocks(hot.store, fresh.store)


def _key(path):
    name, part, *_ = path.name.split(".")
    return PartKey(name, Part(part))


def assert_same_blocks(one, other):
    """Whoever computed a block: it is the same, bit for bit."""
    keys = [_key(path) for path in other._folder.glob("??/*")]
    both = [(one.get(key), other.get(key)) for key in keys]
    found = [(a.buffers(), b.buffers()) for a, b in both if a is not None]
    assert len(found) >= 3
    for mine, theirs in found:
        assert mine == theirs


@EDGES
@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 511, 512, 513, 600])
def test_every_length_around_a_block_edge_restores(kind, length, load, bench):
    runtime = load(kind).runtime
    first, _ = bench(runtime).ask(text(length), count=3)
    again, cached = bench(runtime).ask(text(length), count=3)
    assert again == first
    assert cached == length - 1


@pytest.mark.parametrize(
    ("kind", "length"),
    [("gemma3_text", 352), ("gemma3_text", 608), ("gemma3_wide", 856), ("gemma3_wide, packed", 856)],
)
def test_a_prompt_whose_window_begins_at_a_block_edge_restores(kind, length, load, bench):
    runtime = load(kind).runtime
    bench(runtime).ask(text(length), count=3)
    assert bench(runtime).ask(text(length), count=3)[1] == length - 1


@EDGES
@pytest.mark.parametrize("at", [5, 250, 256, 300, 511, 690])
def test_a_conversation_that_diverges_reuses_what_is_common(kind, at, load, bench):
    runtime = load(kind).runtime
    old = text(700)
    new = [*old[:at], 251, *text(60, seed=9)]
    bench(runtime).ask(old)
    _, cached = bench(runtime).ask(new)
    assert cached == at if not runtime.spec.reach else cached <= at
    assert bench(runtime, "fresh").ask(new)[1] == 0


@pytest.mark.parametrize("kind", ["gemma3_text", *RECURRENT])
def test_a_model_with_local_parts_comes_back_to_the_end_of_the_system_prompt(kind, load, bench):
    runtime = load(kind).runtime
    system = text(400)
    bench(runtime).ask(system + text(500, seed=1), marks=(400,))
    _, cached = bench(runtime).ask(system + text(500, seed=2))
    assert cached == 400


@KINDS
def test_turns_that_run_together_answer_as_if_alone(kind, load, bench):
    runtime = load(kind).runtime
    prompts = [text(200 + 150 * n, seed=n) for n in range(4)]
    counts = [14, 5, 9, 3]  # they leave the batch at different times
    asked = list(zip(prompts, counts, strict=True))
    alone = [bench(runtime, f"alone{n}").ask(prompt, count)[0] for n, (prompt, count) in enumerate(asked)]
    together = bench(runtime, "together", max_turns=3)
    turns = [together.submit(prompt, count) for prompt, count in asked]
    assert [answer for answer, _ in together.finish(*turns)] == alone


@KINDS
def test_a_prompt_that_is_read_while_others_speak_has_the_same_blocks(kind, load, bench):
    """Its pieces are put down after every layer, and each restored prefix too."""
    runtime = load(kind).runtime
    alone, busy = bench(runtime, "alone"), bench(runtime, "busy", max_stall=0.0)
    reference = alone.ask(text(700), 3)[0]
    more = [*text(700), *reference, *text(300, seed=3)]
    expected = alone.ask(more, 3, answers=((700, 703),))
    for prompt, answers, right in ((text(700), (), (reference, 0)), (more, ((700, 703),), expected)):
        busy.tow()
        speaker = busy.submit(text(40, seed=len(prompt)), count=120)  # the shorter prompt is read first
        assert busy.finish(busy.submit(prompt, 3, answers=answers), speaker)[0] == right
    assert_same_blocks(busy.store, alone.store)


@KINDS
def test_a_preempted_turn_resumes_where_it_stopped(kind, load, bench):
    runtime = load(kind).runtime
    alone, _ = bench(runtime, "alone").ask(text(300), count=20)
    stopped = bench(runtime, "stopped")
    turn = stopped.submit(text(300), count=20)
    said = []
    while len(said) < 7:
        said += [event.token for event in stopped.engine.step() if hasattr(event, "token")]
    stopped.engine.scheduler.preempt(turn)
    while not stopped.engine.idle:
        said += [event.token for event in stopped.engine.step() if hasattr(event, "token")]
        stopped.writer.drain()
    assert said == alone


@KINDS
def test_the_same_seed_draws_the_same_answer_cached_or_not(kind, load, bench):
    runtime = load(kind).runtime
    sampling = Sampling(temperature=0.8, top_p=0.95, seed=42)
    first, _ = bench(runtime).ask(text(300), sampling=sampling)
    again, cached = bench(runtime).ask(text(300), sampling=sampling)
    other, _ = bench(runtime).ask(text(300), sampling=Sampling(temperature=0.8, top_p=0.95, seed=43))
    assert cached == 299
    assert again == first
    assert other != first


def test_other_weights_of_equal_geometry_find_nothing(load, bench, tmp_path):
    twin = load_model(make_model(tmp_path / "twin", "llama", seed=1), Precision(4), tmp_path).runtime
    bench(load("llama").runtime).ask(text(300))
    assert bench(twin).ask(text(300))[1] == 0


def test_another_precision_finds_nothing(load, bench):
    bench(load("llama", 4).runtime).ask(text(300))
    assert bench(load("llama", 8).runtime).ask(text(300))[1] == 0


def test_another_tenant_finds_nothing(load, bench):
    desk = bench(load("llama").runtime)
    desk.ask(text(300))
    assert desk.ask(text(300), tenant="other")[1] == 0
    assert desk.ask(text(300))[1] == 299


@KINDS
def test_a_rotten_block_costs_its_tokens_and_no_more(kind, load, bench, tmp_path):
    runtime = load(kind).runtime
    first, _ = bench(runtime).ask(text(700))
    for path in sorted((tmp_path / "kv").glob("??/*.lasting.*"))[:1]:
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)
    again, cached = bench(runtime).ask(text(700))
    assert again == first
    assert cached < 699
    assert bench(runtime).ask(text(700)) == (first, 699)


@KINDS
def test_a_pool_too_small_for_all_still_answers_from_disk(kind, load, bench):
    runtime = load(kind).runtime
    spec = runtime.spec
    room = spec.working_bytes(700, 1024) + 3 * spec.lasting_bytes(700) + 5 * spec.state_bytes
    small = bench(runtime, pool=room)
    prompts = [text(500, seed=n) for n in range(4)]
    first = [small.ask(prompt, count=4)[0] for prompt in prompts]
    assert [small.ask(prompt, count=4) for prompt in prompts] == [(answer, 499) for answer in first]


@pytest.mark.parametrize("attention", ["expanded", "packed"])
def test_a_head_that_no_group_divides_is_kept_in_16_bits_and_told_of(attention, bench, tmp_path, caplog):
    folder = make_model(tmp_path / "odd", "deepseek_v2", v_head_dim=80)
    runtime = load_model(folder, Precision(4), tmp_path, AttentionChoice(attention)).runtime
    assert "16-bit where a head has 80 numbers" in caplog.text
    assert [str(encoding) for encoding in runtime.spec.encodings(runtime.spec.layers[0])] == ["q4g32r", "16"]
    first, _ = bench(runtime).ask(text(300))
    assert bench(runtime).ask(text(300)) == (first, 299)


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("together", [2, 4])
def test_states_join_and_leave_a_batch_as_they_are(kind, together, load, bench):
    runtime = load(kind).runtime
    asked = [(text(length, seed=length), count) for length, count in [(300, 14), (1, 6), (512, 9), (40, 3), (7, 5)]]
    alone = [bench(runtime, f"alone{n}").ask(prompt, count)[0] for n, (prompt, count) in enumerate(asked)]
    desk = bench(runtime, "together", max_turns=together)
    turns = [desk.submit(prompt, count) for prompt, count in asked]
    assert [answer for answer, _ in desk.finish(*turns)] == alone
    # What they left behind restores them, hot and from disk.
    for prompt, count in asked:
        assert desk.ask(prompt, count)[1] == len(prompt) - 1
        assert bench(runtime, "together").ask(prompt, count)[1] == len(prompt) - 1


@pytest.mark.parametrize("kind", RECURRENT)
def test_another_newest_question_is_asked_where_the_answer_before_it_ended(kind, load, bench):
    runtime = load(kind).runtime
    desk, said = bench(runtime), text(700)
    answer, _ = desk.ask(said)
    whole = said + answer
    answers = ((len(said), len(whole)),)
    desk.ask(whole + text(90, seed=1), answers=answers)
    other = whole + text(90, seed=2)
    expected, nothing = bench(runtime, "fresh").ask(other, answers=answers)
    assert nothing == 0
    assert bench(runtime).ask(other, answers=answers) == (expected, len(whole))
    assert desk.ask(other, answers=answers) == (expected, len(whole))


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_changed_answer_is_left_where_it_was_asked_for(kind, load, bench):
    runtime = load(kind).runtime
    said = text(500)
    answer, _ = bench(runtime).ask(said)
    changed = [*said, *answer[:5], 251, *text(30, seed=3)]
    answers = ((len(said), len(said) + 6),)
    expected, _ = bench(runtime, "fresh").ask(changed, answers=answers)
    assert bench(runtime).ask(changed, answers=answers) == (expected, len(said) - 1)


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("edge", [256, 512])
def test_a_state_at_a_block_edge_is_the_block_s_own(kind, edge, load, bench):
    runtime = load(kind).runtime
    system = text(edge)
    bench(runtime).ask(system + text(50, seed=1), marks=(edge,))
    assert bench(runtime).ask(system + text(50, seed=2), marks=(edge,))[1] == edge


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_prefill_put_down_for_good_leaves_the_state_where_its_piece_began(kind, load, bench):
    runtime = load(kind).runtime
    desk, long = bench(runtime, max_stall=0.0, chunk=256), text(700)
    other = desk.submit(text(20, seed=5), count=200)
    turn = desk.submit(long)
    running = desk.engine.scheduler.running
    while turn not in running or running[turn].in_hand is None or not running[turn].position:
        desk.engine.step()
    position = running[turn].position
    desk.engine.cancel(turn)
    desk.engine.cancel(other)
    while not desk.engine.idle:
        desk.engine.step()
        desk.writer.drain()
    expected, _ = bench(runtime, "fresh", chunk=256).ask(long)
    answer, cached = bench(runtime, chunk=256).ask(long)
    assert answer == expected
    assert cached == (0 if runtime.spec.windowed else position)


def test_windows_of_turns_long_past_are_dropped_and_those_of_the_turn_before_are_kept(load, bench):
    """Each turn goes on from the one before; the newest question may be put otherwise; the oldest turns are bare."""
    runtime = load("gemma3_text").runtime
    desk, said, answers = bench(runtime), text(300), ()
    for number in range(5):
        answer, cached = desk.ask(said, 4, answers=answers)
        assert cached == (answers[-1][1] if answers else 0)
        before = (said, answers)
        answers = (*answers, (len(said), len(said) + len(answer)))
        said = said + answer + text(300, seed=number + 1)
    question, so_far = before
    assert desk.ask([*question[: so_far[-1][1]], *text(300, seed=77)], 4, answers=so_far)[1] == so_far[-1][1]
    stored = list(desk.store._folder.rglob("*.safetensors"))
    local = [path for path in stored if ".local." in path.name]
    lasting = [path for path in stored if ".lasting." in path.name]
    assert 2 <= len(local) < len(lasting) - 1
    again = bench(runtime)
    assert again.ask(said, 4, answers=answers)[1] == answers[-1][1], "after a restart too"
