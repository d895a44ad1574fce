"""How long after a turn of 4,096 tokens ends is all of it on disk?

Sixteen blocks of 256 tokens go through the writer that the server uses, into an empty folder; each file and its
folder are waited for (fsync). Plain and sealed, by turns. A block of a 0.5B model takes about 600 KB at 4 bits, one of
an 8B model 9.4 MB. This is the worst case: in the server, a prompt's blocks are written while the rest is still read.

    python -m benchmarks.write_behind [--kb 600 9400] [--rounds 9] [--json]
"""

import os
import tempfile
import time
from pathlib import Path

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.application.write_behind import WriteBehind, Written
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, pack
from agent_memory.ports.kv import Buffer, BytesPayload
from benchmarks.harness import arguments, bar, report, summary

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
    rows = {f"{kb} KB": {kind: summary(samples[kb, kind]) for kind in kinds} for kb in sizes}
    bars = [bar(f"{kind}, {row}", rows[row][kind]["median"], at_most=1) for row in rows for kind in kinds]
    return {"blocks": BLOCKS} | rows | {"bars": bars}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kb", type=int, nargs="+", default=[600, 9400])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    report("write_behind", run(options.kb, options.rounds), keep=options.json)


if __name__ == "__main__":
    main()
