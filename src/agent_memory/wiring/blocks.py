"""The block store of a cache folder, as the settings want it: under a budget, sealed, and sparing the disk."""

from collections.abc import Iterable
from pathlib import Path

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.envelope import Envelope
from agent_memory.adapters.disk.meter import Meter
from agent_memory.domain.kv.block import BlockHash
from agent_memory.ports.agents import Origin
from agent_memory.settings import CacheSettings


def open_blocks(
    folder: Path, cache: CacheSettings, origin: Origin | None, *, pinned: Iterable[BlockHash] = ()
) -> DiskBlockStore:
    model, spec = origin or (None, None)
    meter = Meter(folder / "written", (cache.disk_daily_write_mb << 20) or None)
    budget, envelope = cache.disk_budget_mb << 20, envelope_of(cache)
    return DiskBlockStore(folder, budget, model, spec, envelope=envelope, meter=meter, pinned=pinned)


def envelope_of(cache: CacheSettings) -> Envelope | None:
    """None: what is written is not sealed."""
    if cache.encryption is None:
        return None
    from agent_memory.adapters.disk.sealing import Sealed

    return Sealed(cache.encryption)
