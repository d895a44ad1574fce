"""Where agents are written down, and the file in which one travels. All synchronous."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from agent_memory.domain.kv.agents import Agent, AgentName
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part
from agent_memory.ports.kv import BlockPayload


class AgentStore(Protocol):
    """A place for agents. Used from one thread. What was put outlives the process, however it ends."""

    def load(self) -> Iterable[Agent]:
        """All of them. What cannot be read is left out, and said so in the log."""
        ...

    def put(self, agent: Agent) -> None:
        """New, or in the place of what was there. Raises OSError when the place fails."""
        ...

    def delete(self, name: AgentName) -> None:
        """May be repeated. Raises OSError when the place fails."""
        ...

    def close(self) -> None: ...


class Origin(NamedTuple):
    """What computed a block: the model's fingerprint, and the identity of its cache's geometry."""

    model: str
    spec: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself. `root` is what its first block's hash begins from, where it was made."""

    agent_id: str
    origin: Origin
    root: BlockHash
    tokens: int
    parts: int
    nbytes: int


class BundleWriter(Protocol):
    """Makes one file out of block parts that come one by one, parents first."""

    def part(self, block: CacheBlock, part: Part, payload: BlockPayload) -> bytes:
        """The next bytes of the file."""
        ...

    def finish(self, agent: Agent, root: BlockHash) -> bytes:
        """The last bytes. A file without them is refused."""
        ...


class Bundle(Protocol):
    """A file that was proved to be whole, to the last bit."""

    @property
    def manifest(self) -> Manifest: ...

    def parts(self) -> Iterator[tuple[CacheBlock, Part, BlockPayload]]:
        """As they were written: parents first."""
        ...


class BundleFormat(Protocol):
    def write(self, origin: Origin) -> BundleWriter: ...

    def read(self, file: BinaryIO) -> Bundle:
        """Raises InvalidInput for what is damaged in any way, is no bundle, or a later version's. The file must stay
        open for as long as the bundle is used.
        """
        ...
