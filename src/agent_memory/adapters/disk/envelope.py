"""How the bytes of a block lie in its file, and notes about it in the index: as they are, or sealed (see `sealing`).

Knows no folder. `name` is what an envelope calls a part; every file of a folder is in the same envelope.
"""

from typing import BinaryIO, Protocol

from agent_memory.adapters.disk.format import MAX_HEADER, VERSION
from agent_memory.domain.kv.block import BlockHash, PartKey


class Envelope(Protocol):
    @property
    def folder(self) -> str:
        """Where its files lie, below the store's folder."""
        ...

    @property
    def suffix(self) -> str:
        """What its files' names end in. It holds the format's version: a later program's files lie beside ours."""
        ...

    def name(self, key: PartKey) -> str: ...

    def wrap(self, name: str, root: BlockHash, data: bytes) -> bytes: ...

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """Raises CorruptBlock when it was damaged, or lay under another name."""
        ...

    def beginning(self, name: str, file: BinaryIO) -> bytes:
        """The data's beginning, with the whole header of a block in it. Raises like `unwrap`."""
        ...

    def wrap_note(self, note: bytes) -> bytes: ...

    def unwrap_note(self, wrapped: bytes | memoryview) -> bytes | memoryview:
        """Raises CorruptBlock."""
        ...


class Plain:
    """Any safetensors reader can open the files."""

    folder = "."
    suffix = f".v{VERSION}.safetensors"

    def name(self, key: PartKey) -> str:
        return f"{key.hash}.{key.part.value}{self.suffix}"

    def wrap(self, name: str, root: BlockHash, data: bytes) -> bytes:
        del name, root
        return data

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        del name
        return wrapped

    def beginning(self, name: str, file: BinaryIO) -> bytes:
        del name
        head = file.read(8)
        return head + file.read(min(int.from_bytes(head, "little"), MAX_HEADER))

    def wrap_note(self, note: bytes) -> bytes:
        return note

    def unwrap_note(self, wrapped: bytes | memoryview) -> bytes | memoryview:
        return wrapped
