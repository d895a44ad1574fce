"""Does anything stay behind when a hundred clients use every door at once, and not all of them behave?

Chat, completions, embeddings, responses, Anthropic's messages, memories, MCP, agents and caches of one server with a
small random model; the rooms for its cache are as small as they may be, so that blocks come and go. Of the requests
one in ten is left before its answer is read, one in ten is read slowly, some are malformed. Every other one has to be
answered: who is told to come back (429 or 503, with Retry-After) does so until then, and is counted once as answered,
each time as told to come back. Then all clients leave, and what the server still holds is compared with what it held
before; the caches are cleared, and nothing may remain; at last it is told to end while all clients are back.

    python -m benchmarks.doors [--seconds 600] [--clients 100] [--json]
"""

import asyncio
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.models import make_model

from benchmarks.doors.client import Tally, connected
from benchmarks.doors.visits import VISITS, malformed
from benchmarks.doors.watch import held, more, settled
from benchmarks.harness import arguments, bar, report
from benchmarks.load.__main__ import NO_LIMITS
from benchmarks.servers import Server, free_port, running

MALFORMED = 0.1  # of all visits
STEP_SECONDS = 10
GRACE_SECONDS = 10
ADMIN = "an admin key"
SMALL = {"SEMANTIC_MLX_CACHE_BUDGET_MB": "64", "AGENT_MEMORY_DISK_BUDGET_MB": "64"}


async def visit(url: str, seconds: float, seed: int, tally: Tally) -> None:
    """One client after the other, each of a few visits, until the time is over."""
    dice = random.Random(seed)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        async with connected(url, tally, dice) as client:
            for _ in range(dice.randrange(1, 20)):
                if time.monotonic() < ends:
                    await (malformed if dice.random() < MALFORMED else dice.choice(VISITS))(client)


async def use(server: Server, seconds: float, clients: int, tally: Tally) -> list[dict[str, float]]:
    """All clients at once; what the server holds meanwhile."""
    series = []
    async with asyncio.TaskGroup() as group:
        using = [group.create_task(visit(server.url, seconds, seed, tally)) for seed in range(clients)]
        began = time.monotonic()
        while not all(each.done() for each in using):
            await asyncio.wait(using, timeout=STEP_SECONDS, return_when=asyncio.ALL_COMPLETED)
            now = await asyncio.to_thread(held, server.url, server.pid)
            at = {"seconds": round(time.monotonic() - began, 1), "answered": answered(tally)}
            series.append(
                at | {"memory MB": now.memory_mb, "tasks": now.tasks, "turns": now.turns, "parked": now.parked}
            )
            print(series[-1], file=sys.stderr, flush=True)
    return series


def answered(tally: Tally) -> int:
    return tally.total("answered") + tally.total("read slowly")


async def ended(server: Server, clients: int) -> dict[str, float]:
    """It is told to end two seconds after they are back; until then they must be answered."""
    tally = Tally()
    using = [asyncio.create_task(visit(server.url, 60, 10_000 + seed, tally)) for seed in range(clients)]
    await asyncio.sleep(2)
    faults = len(tally.faults)
    server.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    try:
        code = await asyncio.to_thread(server.process.wait, 120)
    except subprocess.TimeoutExpired:
        code = -1
    took = time.monotonic() - began
    for each in using:
        each.cancel()
    await asyncio.gather(*using, return_exceptions=True)
    return {"exit code": code, "seconds to end": round(took, 2), "faults before": faults}


@contextmanager
def served(folder: Path) -> Iterator[tuple[Server, Path]]:
    """A server with a model and data in this folder, and its log."""
    port, log = free_port(), folder / "log"
    model = make_model(folder / "random-llama", "llama")
    command = [sys.executable, "-m", "agent_memory.entrypoints.cli", "serve", "--port", str(port)]
    options = ["--model", str(model), "--data-dir", str(folder / "data"), "--log-level", "WARNING"]
    environ = NO_LIMITS | SMALL | {"SEMANTIC_ADMIN_KEY": ADMIN, "SEMANTIC_SERVER_SHUTDOWN_SECONDS": str(GRACE_SECONDS)}
    with log.open("wb") as said, running([*command, *options], port, "/health", "default", environ, log=said) as server:
        yield server, log


def run(folder: Path, seconds: float, clients: int) -> dict[str, Any]:
    tally = Tally()
    with served(folder) as (server, log):
        # Unmeasured: whatever is begun once, at the first use, stays.
        asyncio.run(use(server, min(seconds, STEP_SECONDS), clients, Tally()))
        before = settled(server.url, server.pid)
        series = asyncio.run(use(server, seconds, clients, tally))
        after = settled(server.url, server.pid)
        damaged = httpx.post(f"{server.url}/v1/caches/verify", timeout=60).json()["damaged"]
        httpx.delete(f"{server.url}/admin/caches", headers={"X-Admin-Key": ADMIN}, timeout=60).raise_for_status()
        emptied = settled(server.url, server.pid)
        cleared = httpx.get(f"{server.url}/v1/caches", timeout=60).json()
        end = asyncio.run(ended(server, clients))
        said = log.read_text(errors="replace")
    return {
        "requests": {door: dict(outcomes) for door, outcomes in sorted(tally.outcomes.items())},
        "answered": answered(tally),
        "told to come back, and did": tally.total("told to wait"),
        "left early": tally.total("left early"),
        "malformed and refused": tally.outcomes["malformed"]["refused"] if "malformed" in tally.outcomes else 0,
        "not answered": tally.total("not answered"),
        "answered wrongly": tally.total("answered wrongly"),
        "faults": tally.faults,
        "more than before": more(before, after),
        "turns left": after.turns,
        "client connections left": after.client_connections,
        "database connections in use": after.database_in_use + after.database_waiting,
        "damaged blocks": len(damaged),
        "agents, parts in memory and on disk once cleared": cleared["agents"]
        + cleared["memory"]["parts"]
        + cleared["disk"]["parts"],
        "bytes reserved once cleared": cleared["memory"]["bytes"],
        "turns parked once cleared": emptied.parked,
        **end,
        "tracebacks": said.count("Traceback"),
        "said": said[-2000:],
        "series": series,
    }


NONE_OF = (
    "not answered",
    "answered wrongly",
    "turns left",
    "client connections left",
    "database connections in use",
    "damaged blocks",
    "agents, parts in memory and on disk once cleared",
    "bytes reserved once cleared",
    "turns parked once cleared",
    "exit code",
    "faults before",
    "tracebacks",
)
NO_MORE = ("tasks", "files")


def leaks(figures: dict[str, Any]) -> dict[str, float]:
    """What there should be none of, however long it ran."""
    kept = {f"{name}, more than before": figures["more than before"][name] for name in NO_MORE}
    return {name: figures[name] for name in NONE_OF} | kept


def growth(series: list[dict[str, float]]) -> float:
    """Of the server's memory over the second half, in MB: the slope, which no single reading decides."""
    late = series[len(series) // 2 :]
    if len(late) < 2:
        return 0.0
    at = [each["seconds"] for each in late]
    slope = statistics.linear_regression(at, [each["memory MB"] for each in late]).slope
    return slope * (at[-1] - at[0])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--clients", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = run(Path(folder), options.seconds, options.clients)
    grown = growth(figures["series"])
    bars = [bar(name, figure, at_most=0) for name, figure in leaks(figures).items()]
    bars.append(bar("seconds to end", figures["seconds to end"], at_most=GRACE_SECONDS))
    bars.append(bar("memory MB grown in the second half", grown, at_most=50))
    setting = {"seconds": options.seconds, "clients": options.clients}
    report("doors", setting | figures | {"bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
