"""Is every acknowledged memory there after kill -9, and none twice?

Eight writers write at once; at a random moment the process, the database, or the database and then the process is
killed. What was acknowledged is then looked for. The folder stays the same over all trials, so it also grows old.

    python -m benchmarks.crashes [--trials 50] [--json]
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psycopg

from agent_memory.adapters.postgres.cluster import Cluster
from agent_memory.adapters.postgres.embedded import Server
from benchmarks.harness import arguments, bar, report

WRITERS = 8
KILLED = ("process", "database", "database, then process")
PROGRAM = """
import asyncio, sys
from pathlib import Path
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory

async def write(memory, trial, writer):
    number = 0
    while True:
        content = f"{trial} {writer} {number}"
        await memory.remember(agent_id="agent", user_id="user", content=content)
        print("kept", content, flush=True)
        number += 1

async def main(folder, trial):
    async with embedded.running(Path(folder)) as conninfo, connection.opened(conninfo, 4, 8) as database:
        memory = SemanticMemory(PostgresMemoryStore(database), HashingEmbedder())
        print("ready", flush=True)
        await asyncio.gather(*(write(memory, trial, writer) for writer in range(int(sys.argv[3]))))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def trial(folder: Path, number: int, dice: random.Random) -> tuple[list[str], float]:
    """What was acknowledged until the end, and how long the start took."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(number), str(WRITERS)]
    started = time.perf_counter()
    environ = os.environ | {"PYTHONPATH": "src"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ)
    assert process.stdout.readline() == "ready\n"
    ready = time.perf_counter() - started
    victim = dice.choice(KILLED)
    time.sleep(dice.uniform(0.02, 0.5))
    if victim != "process":
        postmaster = (folder / "postgres" / "18" / "postmaster.pid").read_text().split()[0]
        os.kill(int(postmaster), signal.SIGKILL)
        # The keeper brings the database back, and the writers go on.
        time.sleep(1.5 if victim == "database" else dice.uniform(0, 0.3))
    process.kill()
    *lines, _ = process.communicate()[0].split("\n")  # the last line may be cut
    return [line.removeprefix("kept ") for line in lines if line.startswith("kept ")], ready


def kept(folder: Path) -> Counter[str]:
    server = Server(Cluster(folder / "postgres"))
    try:
        with psycopg.connect(server.start()) as database:
            return Counter(row[0] for row in database.execute("SELECT content FROM agent_memory.memories"))
    finally:
        server.stop()


def run(trials: int) -> dict[str, float]:
    dice = random.Random(trials)
    acknowledged: list[str] = []
    starts: list[float] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for number in range(trials):
            told, ready = trial(folder, number, dice)
            acknowledged += told
            starts.append(ready)
        found = kept(folder)
    return {
        "trials": trials,
        "acknowledged": len(acknowledged),
        "lost": sum(content not in found for content in acknowledged),
        "kept twice": sum(times > 1 for times in found.values()),
        "slowest start s": round(max(starts), 2),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trials", type=int, default=50)
    options = parser.parse_args()
    result = run(options.trials)
    bars = [bar(name, result[name], at_most=0) for name in ("lost", "kept twice")]
    report("crashes", result | {"bars": bars}, keep=options.json)
    sys.exit(0 if all(each["holds"] for each in bars) else 1)


if __name__ == "__main__":
    main()
