"""AttentionChoice: over what a turn attends, where that is left open."""

import pytest

from agent_memory.domain.kv.attention import AttentionChoice
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import Attention, CacheSpec, Layer, LayerKind

LAYERS = (Layer(LayerKind.FULL, kv_heads=8, key_dim=128, value_dim=128),) * 32
FOUR, SIXTEEN = CacheSpec(LAYERS, Precision(4)), CacheSpec(LAYERS, Precision(16))


@pytest.mark.parametrize("wanted", ["packed", "expanded"])
@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("spec", [FOUR, SIXTEEN])
def test_what_is_wanted_is_done(wanted, on_cpu, spec):
    assert AttentionChoice(wanted).of(spec, on_cpu=on_cpu, untouched=True) is Attention(wanted)


def test_a_gpu_reads_what_is_stored_if_the_model_lets_it():
    assert AttentionChoice().of(FOUR, on_cpu=False, untouched=True) is Attention.PACKED
    assert AttentionChoice().of(FOUR, on_cpu=False, untouched=False) is Attention.EXPANDED


@pytest.mark.parametrize("on_cpu", [True, False])
def test_there_is_nothing_to_pack_in_16_bits(on_cpu):
    assert AttentionChoice(context=8192, budget=1).of(SIXTEEN, on_cpu=on_cpu, untouched=True) is Attention.EXPANDED


def test_a_cpu_reads_expanded_copies_while_the_longest_turn_fits():
    needs = FOUR.lasting_bytes(8192) + FOUR.working_bytes(8192, 512)
    fits, does_not = AttentionChoice(context=8192, budget=needs), AttentionChoice(context=8192, budget=needs - 1)
    assert fits.of(FOUR, on_cpu=True, untouched=True) is Attention.EXPANDED
    assert does_not.of(FOUR, on_cpu=True, untouched=True) is Attention.PACKED
    assert AttentionChoice(context=8192).of(FOUR, on_cpu=True, untouched=True) is Attention.EXPANDED
