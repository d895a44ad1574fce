"""How long after a turn of 4,096 tokens ends is all of it on disk?

Sixteen blocks of 256 tokens go through the writer that the server uses, into an empty folder; each file and its
folder are waited for (fsync). Plain and sealed, by turns. A block of a 0.5B model takes about 600 KB at 4 bits, one of
an 8B model 9.4 MB. This is the worst case: in the server, a prompt's blocks are written while the rest is still read.

    python -m benchmarks.write_behind [--kb 600 9400] [--rounds 9] [--json]
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.application.write_behind import WriteBehind, Written
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, pack
from agent_memory.ports.kv import Buffer, BytesPayload
from benchmarks import harness

BLOCKS = 16
ROOT = Namespace("tenant", "model", "spec").root


def turn(kb: int) -> list[tuple[CacheBlock, BytesPayload]]:
    blocks, parent = [], ROOT
    for number in range(BLOCKS):
        block = CacheBlock.after(parent, 256 * number, pack(range(256)))
        blocks.append((block, BytesPayload({"keys": Buffer("U8", (kb << 10,), os.urandom(kb << 10))})))
        parent = block.hash
    return blocks


def measure(kb: int, *, sealed: bool) -> float:
    """Seconds from the first block that is handed over to the last that is on disk."""
    blocks = turn(kb)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # not in a folder that may be memory
        store = DiskBlockStore(Path(folder), 1 << 40, "model", "spec", envelope=Sealed(bytes(32)) if sealed else None)
        writer = WriteBehind(store, lambda: None)
        writer.start()
        started = time.perf_counter()
        for block, payload in blocks:
            writer.put(block, Part.LASTING, payload, ROOT)
        writer.close()
        seconds = time.perf_counter() - started
        assert all(isinstance(report, Written) for report in writer.reports())
    return seconds


def run(sizes: list[int], rounds: int) -> dict[str, object]:
    kinds = {"plain s": False, "sealed s": True}
    samples = {(kb, kind): [] for kb in sizes for kind in kinds}
    for _ in range(rounds):
        for (kb, kind), seconds in samples.items():
            seconds.append(measure(kb, sealed=kinds[kind]))
    rows = {f"{kb} KB": {kind: harness.summary(samples[kb, kind]) for kind in kinds} for kb in sizes}
    return {"blocks": BLOCKS} | rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kb", type=int, nargs="+", default=[600, 9400])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="write benchmarks/results/write_behind.json")
    options = parser.parse_args()
    result = run(options.kb, options.rounds)
    print(json.dumps(result, indent=2))
    if options.json:
        print(harness.write("write_behind", result))


if __name__ == "__main__":
    main()
