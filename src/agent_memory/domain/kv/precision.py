"""How many bits the numbers of a cache are kept in: what is wanted of keys and of values, and what a tensor gets."""

import re
from dataclasses import dataclass, replace
from typing import Self

from agent_memory.domain.errors import Misconfigured

FULL_BITS = 16
QUANTIZED_BITS = (4, 8)
GROUP_SIZES = (128, 64, 32)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one tensor is kept: affine 4 or 8 bits with an fp16 scale and bias per group, or 16 bits without groups.
    `rotated`: each group is first turned by a Hadamard matrix, which spreads what a few of its numbers have too much of
    over all of them.
    """

    bits: int
    group_size: int = 0
    rotated: bool = False

    @property
    def quantized(self) -> bool:
        return self.bits != FULL_BITS

    def nbytes(self, dim: int) -> int:
        """Bytes of one vector of so many numbers."""
        if not self.quantized:
            return dim * 2
        scales_and_biases = 2 * 2 * (dim // self.group_size)
        return dim * self.bits // 8 + scales_and_biases

    def __str__(self) -> str:
        return f"q{self.bits}g{self.group_size}{'r' * self.rotated}" if self.quantized else str(self.bits)


@dataclass(frozen=True, slots=True)
class Precision:
    """What is wanted: the bits of keys, and of values where they are not the same; the largest group that may share
    a scale. Raises Misconfigured for what cannot be had.
    """

    bits: int = 4
    group_size: int = 64
    value_bits: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_bits", self.value_bits or self.bits)
        if not {self.bits, self.value_bits} <= {*QUANTIZED_BITS, FULL_BITS}:
            raise Misconfigured(f"kv_bits must be 4, 8 or 16, or like k8v4, not {self}")
        if self.group_size not in GROUP_SIZES:
            raise Misconfigured(f"kv_group_size must be one of {GROUP_SIZES}, not {self.group_size}")

    @classmethod
    def of(cls, bits: int | str, group_size: int = 64) -> Self:
        """From the way it is written: 4, "4" or "k8v4"."""
        written = re.fullmatch(r"(\d+)|k(\d+)v(\d+)", str(bits).strip().lower(), re.ASCII)
        if written is None:
            raise Misconfigured(f"kv_bits must be 4, 8 or 16, or like k8v4, not {bits}")
        both, keys, values = written.groups()
        return cls(int(both or keys), group_size, int(both or values))

    def of_keys(self, dim: int) -> Encoding:
        """Keys have a few numbers that are far greater than the others; values have not, and gain nothing."""
        encoding = self._encoding(self.bits, dim)
        return replace(encoding, rotated=encoding.quantized)

    def of_values(self, dim: int) -> Encoding:
        return self._encoding(self.value_bits, dim)

    def _encoding(self, bits: int, dim: int) -> Encoding:
        """With the largest group, no larger than wanted, that divides the vector; where none does, in 16 bits."""
        groups = (group for group in GROUP_SIZES if group <= self.group_size and dim % group == 0)
        group = next(groups, 0)
        return Encoding(bits, group) if bits != FULL_BITS and group else Encoding(FULL_BITS)

    def __str__(self) -> str:
        return str(self.bits) if self.bits == self.value_bits else f"k{self.bits}v{self.value_bits}"
