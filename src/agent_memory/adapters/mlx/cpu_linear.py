"""Linear layers for the one row that an agent decodes by itself, on a CPU.

MLX multiplies everything by sgemm, which first copies a matrix into an order of its own: for one row that takes longer
than the multiplication, which sgemv does in the order that is there. Two rows are as fast by sgemm.
"""

import ctypes
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.nn.layers.base import Module
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear

from agent_memory.adapters.mlx import BLAS

_BY_ROW, _AS_IT_IS = 101, 111  # CblasRowMajor, CblasNoTrans
_INT, _FLOAT, _ARRAY = ctypes.c_int, ctypes.c_float, ctypes.c_void_p

_sgemv = getattr(ctypes.CDLL(BLAS), "cblas_sgemv", None) if BLAS else None
if _sgemv is not None:
    _sgemv.argtypes = [_INT, _INT, _INT, _INT, _FLOAT, _ARRAY, _INT, _ARRAY, _INT, _FLOAT, _ARRAY, _INT]
    _sgemv.restype = None


class _Linear(Linear):
    def __call__(self, x: mx.array) -> mx.array:
        if not _is_row(x):
            return super().__call__(x)
        product = _product(self.weight, x)
        return product + self.bias if "bias" in self else product


class _Embedding(Embedding):
    def as_linear(self, x: mx.array) -> mx.array:
        return _product(self.weight, x) if _is_row(x) else x @ self.weight.T


_KINDS: dict[type[Module], type[Module]] = {Linear: _Linear, Embedding: _Embedding}


def install(model: Any) -> None:
    """Let the model's layers of float32 weights multiply a row by sgemv, where there is one. May be repeated."""
    for layer in model.modules() if _sgemv is not None else []:
        kind = _KINDS.get(type(layer))
        if kind is not None and layer.weight.dtype == mx.float32:
            layer.__class__ = kind


def _is_row(x: mx.array) -> bool:
    return x.size == x.shape[-1] and x.dtype == mx.float32


def _product(weight: mx.array, x: mx.array) -> mx.array:
    """`x` [..., inputs], of one row, times the transposed `weight` [outputs, inputs]. Waits for `x`."""
    assert _sgemv is not None, "installed without a BLAS"
    matrix, row = np.ascontiguousarray(weight), np.ascontiguousarray(x)
    outputs, inputs = matrix.shape
    product = np.empty((*x.shape[:-1], outputs), np.float32)
    at, begin, to = (array.ctypes.data for array in (matrix, row, product))
    _sgemv(_BY_ROW, _AS_IT_IS, outputs, inputs, 1.0, at, inputs, begin, 1, 0.0, to, 1)
    return mx.array(product)
