"""How long until 50,000 blocks on disk are known, with the index and without?

Conversations of 16 blocks of 256 tokens, with true headers and small tensors: a start reads no tensors. Each start is
a process of its own; what counts is from opening the folder until every prefix can be looked up. The files are in the
page cache, as they are after a restart of the server; after a restart of the machine, what is read comes from the disk.

    python -m benchmarks.disk_index [--blocks 50000] [--starts 5] [--json]
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.envelope import Envelope, Plain
from agent_memory.adapters.disk.format import encode
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind
from agent_memory.ports.kv import Buffer
from benchmarks.harness import arguments, bar, report, summary

KEY = bytes(range(32))
SPEC = CacheSpec((Layer(LayerKind.FULL, 1, 64, 64),), Precision(16), block_tokens=256)
BUDGET = 1 << 40
CHAIN = 16
ENVELOPES = {"plain": lambda: None, "sealed": lambda: Sealed(KEY)}


def fill(folder: Path, blocks: int, envelope: Envelope) -> None:
    dice = random.Random(1)
    root = parent = Namespace("tenant", "model", SPEC.identity).root
    for number in range(blocks):
        start = number % CHAIN * 256
        block = CacheBlock.after(parent if start else root, start, pack([dice.randrange(128_000) for _ in range(256)]))
        parent = block.hash
        content = {"keys": Buffer("U8", (1024,), dice.randbytes(1024))}
        data = encode(block, Part.LASTING, "model", SPEC.identity, content)
        name = envelope.name(PartKey(block.hash, Part.LASTING))
        path = folder / envelope.folder / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(envelope.wrap(name, root, data))


def start(folder: Path, kind: str) -> float:
    """Seconds, in this process."""
    begun = time.perf_counter()
    store = DiskBlockStore(folder, BUDGET, "model", SPEC.identity, envelope=ENVELOPES[kind]())
    ledger = Ledger(SPEC, BUDGET)
    ledger.know(store.known())
    seconds = time.perf_counter() - begun
    print(len(ledger.index), seconds)
    return seconds


def started(folder: Path, kind: str, blocks: int) -> float:
    """Seconds, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.disk_index", "--start", str(folder), kind]
    told = subprocess.run(command, env=os.environ | {"PYTHONPATH": "src"}, capture_output=True, text=True, check=True)
    known, seconds = told.stdout.split()
    assert int(known) == blocks, f"{known} of {blocks} blocks are known"
    return float(seconds)


def run(blocks: int, starts: int) -> dict[str, object]:
    result: dict[str, object] = {"blocks": blocks, "starts": starts}
    for kind, make in ENVELOPES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            envelope = make() or Plain()
            fill(folder, blocks, envelope)
            index = folder / envelope.folder / "index"
            without, with_it = [], []
            for _ in range(starts):
                index.unlink(missing_ok=True)
                without.append(started(folder, kind, blocks))
                with_it.append(started(folder, kind, blocks))
            result[kind] = {
                "seconds without the index": summary(without),
                "seconds with the index": summary(with_it),
                "index bytes per block": round(index.stat().st_size / blocks),
            }
    return result


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--blocks", type=int, default=50_000)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--start", nargs=2, metavar=("FOLDER", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        start(Path(options.start[0]), options.start[1])
        return
    result = run(options.blocks, options.starts)
    bars = [bar(f"seconds, {kind}", result[kind]["seconds with the index"]["median"], at_most=2) for kind in ENVELOPES]
    report("disk_index", result | {"bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
