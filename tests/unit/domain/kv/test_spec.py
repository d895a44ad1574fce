"""CacheSpec: what a token costs, and when two caches are the same."""

from dataclasses import replace

import pytest

from agent_memory.domain.kv.precision import Encoding, Precision
from agent_memory.domain.kv.spec import Attention, CacheSpec, Layer, LayerKind, StateArray

FULL = Layer(LayerKind.FULL, kv_heads=8, key_dim=128, value_dim=128)
WINDOW = Layer(LayerKind.WINDOW, kv_heads=8, key_dim=128, value_dim=128, window=1024)


def test_four_bits_cost_at_most_29_percent_of_sixteen():
    four = CacheSpec((FULL,) * 32, Precision(4, 64)).lasting_bytes(1000)
    sixteen = CacheSpec((FULL,) * 32, Precision(16)).lasting_bytes(1000)
    assert sixteen == 32 * 8 * 256 * 2 * 1000
    assert four / sixteen == pytest.approx(0.28125)


def test_windowed_layers_cost_local_bytes_only():
    spec = CacheSpec((WINDOW, WINDOW, FULL), Precision(8, 64))
    assert spec.local_bytes(10) == 2 * spec.lasting_bytes(10)
    assert spec.reach == 1024
    assert CacheSpec((FULL,), Precision()).reach == 0


def test_a_running_turn_holds_expanded_copies():
    spec = CacheSpec((FULL, WINDOW), Precision(4), compute_bytes=2)
    assert spec.working_bytes(10_000, 512) == 2 * 8 * 256 * (10_000 + 1024 + 512)


def test_a_running_turn_that_attends_over_packed_keys_expands_one_layer_at_a_time():
    spec = CacheSpec((FULL, FULL, WINDOW), Precision(4), compute_bytes=2, attention=Attention.PACKED)
    packed = spec.lasting_bytes(10_000) + spec.local_bytes(1024 + 512)
    assert spec.working_bytes(10_000, 512) == packed + 2 * 8 * 256 * 10_000


def test_the_attention_is_no_part_of_the_identity():
    spec = CacheSpec((FULL,), Precision(4))
    assert replace(spec, attention=Attention.PACKED).identity == spec.identity


def test_what_is_kept_alike_keeps_its_name():
    assert CacheSpec((FULL,), Precision(4, 64)).identity == "v2;q4g64r/q4g64;b256;full:8x128/128w0"
    assert CacheSpec((FULL,), Precision(16)).identity == "v2;16/16;b256;full:8x128/128w0"
    small = Layer(LayerKind.FULL, kv_heads=1, key_dim=32, value_dim=32)
    assert CacheSpec((small,), Precision(4, 64)).identity == "v2;q4g32r/q4g32;b256;full:1x32/32w0"


def test_keys_and_values_of_different_sizes_have_groups_of_their_own():
    latent = Layer(LayerKind.FULL, kv_heads=4, key_dim=96, value_dim=64)
    spec = CacheSpec((latent,), Precision(4, 64))
    assert spec.encodings(latent) == (Encoding(4, 32, rotated=True), Encoding(4, 64))
    assert spec.lasting_bytes(1) == 4 * (96 // 2 + 3 * 4 + 64 // 2 + 1 * 4)
    assert spec.identity != CacheSpec((latent,), Precision(4, 32)).identity


def test_what_no_group_divides_is_kept_in_16_bits_and_said():
    odd = Layer(LayerKind.FULL, kv_heads=1, key_dim=80, value_dim=64)
    spec = CacheSpec((odd,), Precision(4, 64))
    assert spec.encodings(odd) == (Encoding(16), Encoding(4, 64))
    assert spec.unpackable == (80,)
    assert "16-bit where a head has 80 numbers" in str(spec)
    assert CacheSpec((FULL,), Precision(4)).unpackable == CacheSpec((odd,), Precision(16)).unpackable == ()


@pytest.mark.parametrize("precision", [Precision(8, 64), Precision(4, 32), Precision(16), Precision.of("k8v4")])
def test_another_precision_is_another_cache(precision):
    assert CacheSpec((FULL,), precision).identity != CacheSpec((FULL,), Precision(4, 64)).identity


def test_another_geometry_is_another_cache():
    assert CacheSpec((FULL, WINDOW), Precision()).identity != CacheSpec((WINDOW, FULL), Precision()).identity


def test_a_recurrent_layer_costs_the_same_however_long_the_prefix():
    state = Layer(LayerKind.RECURRENT, state=(StateArray((3, 100), "BF16"), StateArray((4, 8, 8), "F32")))
    spec = CacheSpec((state, state, FULL), Precision(4, 64))
    assert spec.state_bytes == spec.local_bytes(10) == spec.local_bytes(256) == 2 * (600 + 1024)
    assert spec.lasting_bytes(10) == CacheSpec((FULL,), Precision(4, 64)).lasting_bytes(10)
    assert spec.exact
    assert spec.reach == 1


def test_another_type_or_shape_of_state_is_another_cache():
    def identity(shape, dtype):
        return CacheSpec((Layer(LayerKind.RECURRENT, state=(StateArray(shape, dtype),)),), Precision()).identity

    assert len({identity((3, 4), "F32"), identity((3, 4), "BF16"), identity((4, 3), "F32")}) == 3


def test_a_model_without_attention_has_the_same_cache_at_every_precision():
    layers = (Layer(LayerKind.RECURRENT, state=(StateArray((3, 4), "F32"),)),)
    assert CacheSpec(layers, Precision(4)).identity == CacheSpec(layers, Precision(16)).identity
    assert not CacheSpec(layers, Precision(4)).quantized
