"""Which blocks keep their local parts."""

from agent_memory.domain.kv.block import CacheBlock, Namespace, pack
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind, StateArray
from agent_memory.domain.kv.tips import Tips, checkpoint_tokens, within_reach

ROOT = Namespace("t", "m", "s").root
FULL = Layer(LayerKind.FULL, 2, 256, 256)
WINDOW = Layer(LayerKind.WINDOW, 8, 256, 256, window=1024)


def with_states(numbers, *layers):
    return CacheSpec((*layers, Layer(LayerKind.RECURRENT, state=(StateArray((numbers,), "F32"),))), Precision(4, 64))


def block(start, length=256):
    return CacheBlock.after(ROOT, start, pack(range(length)))


def test_only_blocks_within_reach_of_an_end_are_needed_for_it():
    assert within_reach(block(768), 1000, 512)
    assert within_reach(block(256), 1000, 512)
    assert not within_reach(block(0), 1000, 512)
    assert not within_reach(block(1024), 1000, 512)


def test_a_long_conversation_keeps_local_parts_at_ends_and_checkpoints_only():
    spec, prompt = CacheSpec((FULL, WINDOW), Precision()), 32_100
    reach = spec.reach
    kept = [start for start in range(0, prompt, 256) if Tips(spec).worth_local(block(start), (prompt,))]
    near_end = [start for start in kept if start >= prompt - reach - 256]
    checkpoints = [start for start in kept if start < prompt - reach - 256]
    assert len(near_end) == 5
    assert {-(-(start + 256) // 8192) * 8192 for start in checkpoints} == {16384}
    assert len(checkpoints) == 4


def test_a_model_without_windows_has_no_local_parts():
    assert not Tips(CacheSpec((FULL,), Precision())).worth_local(block(0), (256,))


def test_a_state_is_kept_where_a_block_ends_with_a_tip_or_a_checkpoint_and_nowhere_else():
    spec = with_states(1 << 20, FULL)
    assert Tips(spec).worth_local(block(768, 132), (900,))
    assert not Tips(spec).worth_local(block(768), (900,))
    assert not Tips(spec).worth_local(block(512), (900,))
    assert Tips(spec).worth_local(block(8192 - 256), (900,))


def test_checkpoints_cost_no_more_than_the_lasting_parts_between_them_as_far_as_the_limits_allow():
    lasting = CacheSpec((FULL,), Precision(4, 64)).lasting_bytes(1)
    assert checkpoint_tokens(with_states(10, FULL)) == 1024
    for tokens in (2048, 4096):
        spec = with_states(lasting * tokens // 4, FULL)
        assert checkpoint_tokens(spec) == tokens
        assert spec.state_bytes <= spec.lasting_bytes(tokens)
    assert checkpoint_tokens(with_states(1 << 30, FULL)) == 8192
    assert checkpoint_tokens(with_states(10)) == 8192, "states are all that such a model costs"


def test_where_there_are_windows_too_a_state_is_kept_with_each_of_their_blocks():
    spec = with_states(10, FULL, WINDOW)
    assert Tips(spec).worth_local(block(0), (900,))
    assert not Tips(spec).worth_local(block(2048), (900,))
