"""Disk stores, plain and sealed, and a conversation's blocks to put into them."""

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.ports.kv import Buffer, BytesPayload

KEY = bytes(range(32))
ROOT = Namespace("tenant", "model", "spec").root
PAYLOAD = BytesPayload({"k": Buffer("U8", (300,), bytes(range(100)) * 3), "v": Buffer("F16", (5,), b"0123456789")})


def conversation(count, root=ROOT, first=0):
    blocks, parent = [], root
    for number in range(count):
        blocks.append(CacheBlock.after(parent, number * 3, pack([first, number, 7])))
        parent = blocks[-1].hash
    return blocks


def lasting(block):
    return PartKey(block.hash, Part.LASTING)


def files(folder):
    return sorted(path for path in folder.rglob("??/*") if path.is_file() and "quarantine" not in path.parts)


def opened(folder, key=None, budget=1 << 20, *, model="model", spec="spec", meter=None):
    return DiskBlockStore(folder, budget, model, spec, envelope=Sealed(key) if key else None, meter=meter)
