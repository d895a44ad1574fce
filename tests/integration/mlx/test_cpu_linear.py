"""Linear layers as one row goes through them on a CPU, against MLX's own."""

from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn

from agent_memory.adapters.mlx import BLAS, cpu_linear

pytestmark = pytest.mark.skipif(BLAS is None, reason="there is no fast BLAS")


@pytest.fixture
def layers():
    mx.random.seed(5)
    plain, biased, words = nn.Linear(96, 40, bias=False), nn.Linear(96, 40), nn.Embedding(50, 96)
    half = nn.Linear(96, 40)
    half.set_dtype(mx.bfloat16)
    return SimpleNamespace(plain=plain, biased=biased, words=words, half=half)


def installed(layers):
    cpu_linear.install(SimpleNamespace(modules=lambda: list(vars(layers).values())))


@pytest.mark.parametrize("name", ["plain", "biased"])
@pytest.mark.parametrize("shape", [(1, 96), (1, 1, 96), (96,)], ids=str)
def test_a_row_becomes_what_mlx_makes_of_it(layers, name, shape):
    layer, row = vars(layers)[name], mx.random.normal(shape)
    expected = np.array(layer(row))
    installed(layers)
    np.testing.assert_allclose(layer(row), expected, atol=1e-6)
    assert layer(row).shape == expected.shape


def test_a_row_that_lies_apart_in_memory_is_read_as_it_is_seen(layers):
    row = mx.random.normal((96, 2))[:, 1:].T
    expected = np.array(layers.plain(row))
    installed(layers)
    np.testing.assert_allclose(layers.plain(row), expected, atol=1e-6)


def test_words_that_are_the_head_as_well(layers):
    row, ids = mx.random.normal((1, 1, 96)), mx.array([[3, 4]])
    expected, read = np.array(layers.words.as_linear(row)), np.array(layers.words(ids))
    installed(layers)
    np.testing.assert_allclose(layers.words.as_linear(row), expected, atol=1e-6)
    np.testing.assert_array_equal(layers.words(ids), read)


def test_several_rows_and_half_precision_stay_mlx_s(layers):
    rows, row = mx.random.normal((1, 3, 96)), mx.random.normal((1, 96)).astype(mx.bfloat16)
    expected = [np.array(layers.plain(rows)), np.array(layers.words.as_linear(rows)), layers.half(row)]
    installed(layers)
    np.testing.assert_array_equal(layers.plain(rows), expected[0])
    np.testing.assert_array_equal(layers.words.as_linear(rows), expected[1])
    assert type(layers.half) is nn.Linear
    assert mx.array_equal(layers.half(row), expected[2])


def test_new_weights_are_multiplied_from_then_on(layers):
    installed(layers)
    row = mx.random.normal((1, 96))
    layers.plain(row)
    layers.plain.weight = mx.random.normal((40, 96))
    np.testing.assert_allclose(layers.plain(row), row @ layers.plain.weight.T, atol=1e-5)
