"""Block payloads as MLX arrays, and their way to bytes and back, exact for every type that a codec stores."""

from collections.abc import Mapping

import mlx.core as mx
import numpy as np

from agent_memory.domain.errors import CorruptBlock
from agent_memory.ports.kv import BlockPayload, Buffer

_NAMES = {mx.uint32: "U32", mx.float32: "F32", mx.float16: "F16", mx.bfloat16: "BF16"}
_BYTES_AS: dict[str, tuple[type[np.generic], mx.Dtype]] = {
    "U32": (np.uint32, mx.uint32),
    "F32": (np.float32, mx.float32),
    "F16": (np.float16, mx.float16),
    "BF16": (np.uint16, mx.bfloat16),  # numpy has no bfloat16: its bits travel as 16-bit integers
}


class MlxPayload:
    def __init__(self, arrays: dict[str, mx.array]) -> None:
        self.arrays = arrays

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def buffers(self) -> Mapping[str, Buffer]:
        return {name: _to_bytes(array) for name, array in self.arrays.items()}


def safetensors_type(array: mx.array) -> str | None:
    """None for a type that no codec stores."""
    return _NAMES.get(array.dtype)


def arrays_of(payload: BlockPayload) -> dict[str, mx.array]:
    """The payload's arrays, without a copy where they are MLX's already."""
    if isinstance(payload, MlxPayload):
        return payload.arrays
    return {name: _from_bytes(buffer) for name, buffer in payload.buffers().items()}


def _to_bytes(array: mx.array) -> Buffer:
    name = _NAMES[array.dtype]
    bits = array.view(mx.uint16) if name == "BF16" else array
    return Buffer(name, tuple(array.shape), np.asarray(bits).tobytes())


def _from_bytes(buffer: Buffer) -> mx.array:
    if buffer.dtype not in _BYTES_AS:
        raise CorruptBlock(f"a tensor of type {buffer.dtype}")
    carrier, dtype = _BYTES_AS[buffer.dtype]
    array = mx.array(np.frombuffer(buffer.data, dtype=carrier).reshape(buffer.shape))
    return array.view(mx.bfloat16) if dtype == mx.bfloat16 else array
