"""The files that blocks lie in, looked at as files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Checked:
    """`fault` is what is wrong with it, or None."""

    file: str
    nbytes: int
    fault: str | None


class Swept(NamedTuple):
    files: int
    nbytes: int


class BlockFiles(Protocol):
    """Synchronous; may be used from any thread, beside whoever reads and writes blocks."""

    def check(self) -> Iterator[Checked]:
        """Every file, read whole. Changes nothing."""
        ...

    def sweep(self) -> Swept:
        """Remove what was put aside as damaged."""
        ...
