"""Attention as it is computed on a CPU, against MLX's own."""

import mlx.core as mx
import numpy as np
import pytest

from agent_memory.adapters.mlx import cpu_attention

SHAPES = [  # rows, heads, kv heads, tokens, tokens seen, dim of keys, dim of values
    (1, 8, 2, 70, 300, 64, 64),
    (2, 8, 8, 1, 777, 64, 32),
    (1, 4, 1, 130, 130, 192, 128),
    (3, 6, 3, 5, 90, 64, 64),
]
MASKS = {
    "none": lambda *_: None,
    "causal": lambda *_: "causal",
    "of all": lambda _rows, _heads, tokens, seen: mx.random.uniform(shape=(tokens, seen)) > 0.3,
    "of each row": lambda rows, _heads, tokens, seen: mx.random.uniform(shape=(rows, 1, tokens, seen)) > 0.3,
    "of each head": lambda rows, heads, tokens, seen: mx.random.uniform(shape=(rows, heads, tokens, seen)) > 0.3,
    "for all tokens": lambda rows, _heads, _tokens, seen: mx.random.uniform(shape=(rows, 1, 1, seen)) > 0.3,
    "added": lambda _rows, _heads, tokens, seen: mx.random.normal((tokens, seen)),
    "added, without end": lambda _rows, _heads, tokens, seen: mx.where(
        mx.random.uniform(shape=(tokens, seen)) > 0.3, 0.5, -mx.inf
    ),
}


@pytest.mark.parametrize("sunk", [False, True], ids=["", "sinks"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_is_what_mlx_computes(shape, mask, sunk):
    rows, heads, kv_heads, tokens, seen, dim, width = shape
    mx.random.seed(7)
    queries = mx.random.normal((rows, heads, tokens, dim))
    keys, values = mx.random.normal((rows, kv_heads, seen, dim)), mx.random.normal((rows, kv_heads, seen, width))
    sinks = mx.random.normal((heads,)) if sunk else None
    given = MASKS[mask](rows, heads, tokens, seen)
    parts = cpu_attention.attention(queries, keys, values, dim**-0.5, mask=given, sinks=sinks)
    expected = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=dim**-0.5, mask=given, sinks=sinks)
    exact = in_double_precision(queries, keys, values, given, sinks)
    error, of_mlx = (float(np.abs(np.array(it) - exact).max()) for it in (mx.concatenate(parts, axis=2), expected))
    assert error <= max(2e-6, 2 * of_mlx)  # how far off single precision is depends on the machine, for both


def in_double_precision(queries, keys, values, mask, sinks):
    of_each = queries.shape[1] // keys.shape[1]
    asked, keys, values = (np.array(it, dtype=np.float64) for it in (queries, keys, values))
    scores = asked @ keys.repeat(of_each, axis=1).swapaxes(2, 3) * asked.shape[-1] ** -0.5
    if isinstance(mask, str):
        tokens, seen = scores.shape[2:]
        scores[..., ~np.tri(tokens, seen, seen - tokens, dtype=bool)] = -np.inf
    elif mask is not None:
        scores = np.where(np.array(mask), scores, -np.inf) if mask.dtype == mx.bool_ else scores + np.array(mask)
    shares = np.exp(scores)
    beside = 0 if sinks is None else np.exp(np.array(sinks, dtype=np.float64))[:, None, None]
    return shares / (shares.sum(-1, keepdims=True) + beside) @ values.repeat(of_each, axis=1)


@pytest.mark.parametrize("tile", [1, 1 << 12, 1 << 30])
def test_its_tiles_do_not_show(monkeypatch, tile):
    mx.random.seed(8)
    queries, keys, values = (mx.random.normal((1, heads, 200, 64)) for heads in (8, 4, 4))
    whole = mx.concatenate(cpu_attention.attention(queries, keys, values, 0.125, mask="causal", sinks=None), axis=2)
    monkeypatch.setattr(cpu_attention, "_TILE", tile)
    tiled = mx.concatenate(cpu_attention.attention(queries, keys, values, 0.125, mask="causal", sinks=None), axis=2)
    np.testing.assert_allclose(whole, tiled, atol=2e-6)


def test_a_model_in_half_precision_gets_it_back():
    mx.random.seed(9)
    queries, keys, values = (mx.random.normal((1, 4, 80, 64)).astype(mx.bfloat16) for _ in range(3))
    attended = mx.concatenate(cpu_attention.attention(queries, keys, values, 0.125, mask="causal", sinks=None), axis=2)
    expected = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=0.125, mask="causal")
    assert attended.dtype == mx.bfloat16
    np.testing.assert_allclose(attended.astype(mx.float32), expected.astype(mx.float32), atol=0.02)


def test_powers_of_two_are_exact_to_a_few_parts_in_ten_million():
    powers = np.concatenate([np.linspace(-99, 0, 100_001), [-0.5, -1, -99.5, 0]])
    found = np.asarray(cpu_attention.exp2(mx.array(powers, dtype=mx.float32)), dtype=np.float64)
    np.testing.assert_allclose(found, np.exp2(powers.astype(np.float32).astype(np.float64)), rtol=2.5e-7)
    nothing = np.asarray(cpu_attention.exp2(mx.array([-101.0, -1e30, -mx.inf])))
    assert (nothing <= 2.0**-99).all()
    assert (nothing >= 0).all()


def test_softmax_is_what_mlx_computes():
    mx.random.seed(10)
    scores = 10 * mx.random.normal((3, 5, 999))
    np.testing.assert_allclose(cpu_attention.softmax(scores), mx.softmax(scores, axis=-1), atol=1e-6)
    assert cpu_attention.softmax(scores.astype(mx.float16)).dtype == mx.float16
