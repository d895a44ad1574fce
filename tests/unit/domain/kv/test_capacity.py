"""What an agent costs, on geometries that anybody can look up."""

import pytest

from agent_memory.domain.kv.capacity import agent_bytes, cost, grouped
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind

FULL, WINDOW = LayerKind.FULL, LayerKind.WINDOW
GEMMA = tuple(Layer(*((WINDOW, 8, 256, 256, 1024) if (i + 1) % 6 else (FULL, 8, 256, 256))) for i in range(48))
LLAMA = (Layer(FULL, 8, 128, 128),) * 32
DEEPSEEK = (Layer(FULL, 16, 192, 128),) * 27
LENGTHS = (4096, 8192, 16_384, 32_768)


def priced(layers, bits, budget=8 << 30):
    return cost(CacheSpec(layers, Precision(bits)), Precision(bits), budget, LENGTHS)


@pytest.mark.parametrize(("layers", "megabytes"), [(LLAMA, 512), (DEEPSEEK, 1080), (GEMMA, 1536)])
def test_four_thousand_tokens_of_every_layer_in_16_bits(layers, megabytes):
    figures = priced(layers, 16)
    assert (figures.lasting + figures.local) * 4096 == megabytes << 20


@pytest.mark.parametrize("layers", [LLAMA, DEEPSEEK])
def test_full_attention_at_4_bits_takes_nine_thirty_seconds(layers):
    assert priced(layers, 4).ratio == pytest.approx(9 / 32)


def test_a_gemma_like_agent_of_32k_takes_a_fraction_of_all_layers():
    assert priced(GEMMA, 4).ratio == pytest.approx(0.056, abs=0.001)


def test_a_stay_holds_every_lasting_part_and_the_local_parts_at_its_end():
    spec = CacheSpec(GEMMA, Precision(4))
    assert agent_bytes(spec, 8192) == spec.lasting_bytes(8192) + spec.local_bytes(5 * 256)
    assert agent_bytes(spec, 8200) == spec.lasting_bytes(8200) + spec.local_bytes(8200 - 7168)
    assert agent_bytes(spec, 100) == spec.lasting_bytes(100) + spec.local_bytes(100)


def test_as_many_agents_fit_as_the_budget_holds():
    stay = priced(LLAMA, 4, budget=8 << 30).stays[0]
    assert stay.tokens == 4096
    assert stay.agents == (8 << 30) // stay.nbytes == 56
    assert priced(LLAMA, 4, budget=0).stays[0].agents == 0


def test_layers_are_grouped_by_what_they_keep_the_lasting_first():
    assert [(group.count, group.layer.kind) for group in grouped(GEMMA)] == [(8, FULL), (40, WINDOW)]
