"""A cache folder without a server and without a model: what can be done with its agents and files all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agent_memory.adapters.disk.agents import DiskAgentStore
from agent_memory.adapters.disk.blocks import owned
from agent_memory.adapters.disk.bundle import TarBundleFormat
from agent_memory.adapters.disk.checking import DiskFiles
from agent_memory.application.agents import Agents
from agent_memory.application.holdings import Holdings
from agent_memory.application.resting_cache import RestingCache
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.upkeep import Upkeep
from agent_memory.application.whereabouts import Whereabouts
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.errors import Conflict
from agent_memory.domain.kv.agents import AgentBook, AgentName
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.ports.agents import Origin
from agent_memory.settings import Settings
from agent_memory.wiring.blocks import envelope_of, open_blocks

_NO_SPEC = CacheSpec((), Precision())  # no prefix is looked for without a model


class CacheFolder:
    """Ours until the context ends. `agents` of one origin can be exported and imported, those of all looked after."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder

    @contextmanager
    def agents(self, origin: Origin | None = None) -> Iterator[Agents]:
        with self._resting(origin) as cache:
            yield Agents(cache.ask, TarBundleFormat())

    @contextmanager
    def upkeep(self) -> Iterator[Upkeep]:
        with self._resting(None) as cache:
            yield Upkeep(cache.ask, DiskFiles(self._folder, envelope_of(self._settings.cache)))

    @contextmanager
    def _resting(self, origin: Origin | None) -> Iterator[RestingCache]:
        cache = self._settings.cache
        agents = DiskAgentStore(self._folder, envelope_of(cache))
        store = open_blocks(self._folder, cache, origin, pinned=AgentBook(agents.load()).pins)
        ledger, writer = Ledger(_NO_SPEC, cache.budget_mb << 20), WriteBehind(store, lambda: None)
        ledger.know(store.known())
        tiers = TieredBlocks(store, writer)
        resting = RestingCache(ledger, tiers, writer, Holdings(Whereabouts(ledger, tiers), agents, origin))
        try:
            yield resting
        finally:
            resting.close()

    async def origin_of(self, name: AgentName) -> Origin:
        """What computed the blocks of its last turn. Raises NotFound, or Conflict when it has none."""
        with self.agents() as agents:
            blocks = (await agents.get(name)).agent.blocks
        store = open_blocks(self._folder, self._settings.cache, None)
        origin = next((origin for block in blocks if (origin := store.origin_of(block))), None)
        if origin is None:
            raise Conflict(f"agent {name.id!r} holds no blocks; there is nothing to export")
        return origin


def bundle_origin(file: BinaryIO) -> Origin:
    """What computed the blocks of this bundle. Raises InvalidInput for what is damaged or none."""
    return TarBundleFormat().read(file).manifest.origin


@contextmanager
def opened_cache_folder(settings: Settings) -> Iterator[CacheFolder]:
    """Raises Misconfigured when another process, a server most likely, has it."""
    with owned(settings.data_folder / "kv") as folder:
        yield CacheFolder(settings, folder)
