"""Which blocks keep their local parts."""

from agent_memory.domain.kv.block import CacheBlock, Namespace, pack
from agent_memory.domain.kv.tips import CHECKPOINT_TOKENS, within_reach, worth_local

ROOT = Namespace("t", "m", "s").root


def block(start, length=256):
    return CacheBlock.after(ROOT, start, pack(range(length)))


def test_only_blocks_within_reach_of_an_end_are_needed_for_it():
    assert within_reach(block(768), 1000, 512)
    assert within_reach(block(256), 1000, 512)
    assert not within_reach(block(0), 1000, 512)
    assert not within_reach(block(1024), 1000, 512)


def test_a_long_conversation_keeps_local_parts_at_ends_and_checkpoints_only():
    reach, prompt = 1024, 32_100
    kept = [start for start in range(0, prompt, 256) if worth_local(block(start), (prompt,), reach)]
    near_end = [start for start in kept if start >= prompt - reach - 256]
    checkpoints = [start for start in kept if start < prompt - reach - 256]
    assert len(near_end) == 5
    assert {-(-(start + 256) // CHECKPOINT_TOKENS) * CHECKPOINT_TOKENS for start in checkpoints} == {8192, 16384, 24576}
    assert len(checkpoints) == 3 * 5


def test_a_model_without_windows_has_no_local_parts():
    assert not worth_local(block(0), (256,), 0)
