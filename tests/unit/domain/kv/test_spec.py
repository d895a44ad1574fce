"""CacheSpec: what a token costs, and when two caches are the same."""

import pytest

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind, Precision

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


@pytest.mark.parametrize("precision", [Precision(8, 64), Precision(4, 32), Precision(16)])
def test_another_precision_is_another_cache(precision):
    assert CacheSpec((FULL,), precision).identity != CacheSpec((FULL,), Precision(4, 64)).identity


def test_another_geometry_is_another_cache():
    assert CacheSpec((FULL, WINDOW), Precision()).identity != CacheSpec((WINDOW, FULL), Precision()).identity


@pytest.mark.parametrize(("bits", "group"), [(3, 64), (5, 64), (4, 48), (0, 64)])
def test_a_precision_that_does_not_exist_is_refused(bits, group):
    with pytest.raises(Misconfigured, match="must be"):
        Precision(bits, group)
