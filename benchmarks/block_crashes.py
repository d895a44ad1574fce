"""Is every block that was reported written there after kill -9, whole and right, and none that was never written?

A process writes blocks of 1 to 400 KB, deletes some, and is killed at a random moment; by turns plain and sealed, with
the index as it was left, damaged or removed. Then the folder is opened: every acknowledged block must come back byte
for byte, everything that is known must be right, nothing half written may remain. The folder stays the same over ten
trials, so it also grows old.

    python -m benchmarks.block_crashes [--trials 100] [--json]
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.ports.kv import Buffer, BytesPayload
from benchmarks.harness import arguments, bar, report

KEY = bytes(range(32))
ROOT = Namespace("tenant", "model", "spec").root
BUDGET = 1 << 40
AGE = 10
FAULTS = ("lost", "unreadable", "wrong", "left half written", "put aside")
INDEX = ("as it was left", "removed", "a flipped bit", "cut")


def opened(folder: Path, kind: str) -> DiskBlockStore:
    return DiskBlockStore(folder, BUDGET, "model", "spec", envelope=Sealed(KEY) if kind == "sealed" else None)


def block(trial: int, number: int) -> CacheBlock:
    return CacheBlock.after(ROOT, 0, pack([trial, number, *range(254)]))


def payload(a_block: CacheBlock) -> BytesPayload:
    """What belongs to the block, known to writer and reader alike."""
    seed = hashlib.sha256(a_block.hash.encode())
    size = random.Random(a_block.hash).choice((1_000, 40_000, 400_000))
    return BytesPayload({"keys": Buffer("U8", (size,), hashlib.shake_128(seed.digest()).digest(size))})


def write(folder: Path, kind: str, trial: int) -> None:
    """Until it is killed."""
    store = opened(folder, kind)
    print("ready", flush=True)
    for number in range(1_000_000):
        each = block(trial, number)
        store.put(each, Part.LASTING, payload(each), ROOT)
        print("kept", number, flush=True)
        if number % 7 == 6:
            print("deleting", number - 3, flush=True)
            store.delete(PartKey(block(trial, number - 3).hash, Part.LASTING))


def killed(folder: Path, kind: str, trial: int, dice: random.Random) -> set[CacheBlock]:
    """What a process reported written, and did not begin to delete, before it was killed."""
    command = [sys.executable, "-m", "benchmarks.block_crashes", "--write", str(folder), kind, str(trial)]
    environ = os.environ | {"PYTHONPATH": "src"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0, 0.4))
        process.kill()
        *lines, _ = process.communicate()[0].split("\n")  # the last line may be cut
    told = [line.split() for line in lines]
    gone = {number for what, number in told if what == "deleting"}
    return {block(trial, int(number)) for what, number in told if what == "kept" and number not in gone}


def harm_index(folder: Path, dice: random.Random) -> None:
    how = dice.choice(INDEX)
    for index in folder.rglob("index"):
        data = bytearray(index.read_bytes())
        if how == "removed" or not data:
            index.unlink()
        elif how == "a flipped bit":
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            index.write_bytes(data)
        elif how == "cut":
            index.write_bytes(data[: dice.randrange(len(data))])


def check(folder: Path, kind: str, kept: set[CacheBlock]) -> Iterator[str]:
    """What is wrong."""
    store = opened(folder, kind)
    known = {each for each, _ in store.known()}
    yield from ("lost" for each in kept - known)
    for each in known:
        found = store.get(PartKey(each.hash, Part.LASTING))
        if found is None:
            yield "unreadable"
        elif found.buffers() != payload(each).buffers():
            yield "wrong"
    yield from ("left half written" for _ in folder.rglob("*.tmp"))
    yield from ("put aside" for _ in range(store.corrupt))


def run(trials: int) -> dict[str, int]:
    dice = random.Random(trials)
    faults: Counter[str] = Counter()
    acknowledged = 0
    kinds = ("plain", "sealed")
    for age in range(0, trials, AGE):
        with tempfile.TemporaryDirectory() as name:
            folder, kept = Path(name), {kind: set() for kind in kinds}
            for trial in range(age, min(age + AGE, trials)):
                kind = kinds[trial % 2]
                new = killed(folder / kind, kind, trial, dice)
                kept[kind] |= new
                acknowledged += len(new)
                harm_index(folder / kind, dice)
                faults.update(check(folder / kind, kind, kept[kind]))
    return {"trials": trials, "acknowledged": acknowledged} | {name: faults[name] for name in FAULTS}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--write", nargs=3, metavar=("FOLDER", "KIND", "TRIAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        folder, kind, trial = options.write
        write(Path(folder), kind, int(trial))
        return
    result = run(options.trials)
    bars = [bar(name, result[name], at_most=0) for name in FAULTS]
    report("block_crashes", result | {"bars": bars}, keep=options.json)
    sys.exit(1 if any(result[name] for name in FAULTS) else 0)


if __name__ == "__main__":
    main()
