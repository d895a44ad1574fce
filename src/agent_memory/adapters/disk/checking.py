"""The files of a cache folder, checked one by one to the last bit, and what is left over swept away.

May run beside the process that writes them: a file is there whole or not at all.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent_memory.adapters.disk.envelope import Envelope, Plain
from agent_memory.adapters.disk.format import TooNew, decode
from agent_memory.domain.errors import CorruptBlock
from agent_memory.ports.upkeep import Checked, Swept


class DiskFiles:
    def __init__(self, folder: Path, envelope: Envelope | None = None) -> None:
        """Files in this envelope, and plain ones. What is sealed with another key cannot be checked."""
        self._folder = folder
        self._envelopes = [envelope, Plain()] if envelope else [Plain()]

    def check(self) -> Iterator[Checked]:
        for envelope in self._envelopes:
            for path in sorted((self._folder / envelope.folder).glob(f"??/*{envelope.suffix}")):
                with suppress(FileNotFoundError):  # it went in the meantime
                    data = path.read_bytes()
                    yield Checked(str(path.relative_to(self._folder)), len(data), _fault(envelope, path.name, data))

    def sweep(self) -> Swept:
        files = nbytes = 0
        for path in (self._folder / "quarantine").glob("*"):
            with suppress(OSError):
                nbytes += path.stat().st_size
                path.unlink()
                files += 1
        return Swept(files, nbytes)


def _fault(envelope: Envelope, name: str, data: bytes) -> str | None:
    try:
        header, _ = decode(envelope.unwrap(name, data))
    except (CorruptBlock, TooNew) as error:
        return str(error)
    return None if name == envelope.name(header.key) else "it does not bear its own name"
