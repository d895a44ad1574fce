"""How many requests a second, and how long do they take? Server, database and load share this machine's cores.

Fifty users, each with a scope of a hundred memories, ask as fast as they are answered (or as often as is offered);
every text is embedded exactly (fp32), and no two are alike unless the row says so. Answers are whole: ten memories, or
one that is committed. Each row runs several times in turn with the others; medians are told.

    python -m benchmarks.load [--seconds 30] [--rounds 3] [--workers 1] [--json]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import httpx
import psutil

from benchmarks.harness import arguments, bar, report
from benchmarks.load.texts import Texts
from benchmarks.servers import free_port, running

USERS, FILL = 50, 100
# Fifty users of one agent are meant to ask more often than one agent may.
NO_LIMITS = {"RATE_LIMIT_WRITES_PER_MINUTE": "0", "RATE_LIMIT_SEARCHES_PER_MINUTE": "0"}
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
ROWS = {
    "search": [],
    "mixed, 75 % search": ["--writes", "0.25"],
    "mixed, 120/s offered": ["--writes", "0.25", "--offered", "120"],
    "mixed, 70 % of the texts repeat": ["--writes", "0.25", "--repeats", "0.7"],
}
BARS = (
    ("search", "requests/s", {"at_least": 300}),
    ("mixed, 75 % search", "requests/s", {"at_least": 220}),
    ("mixed, 120/s offered", "p95 ms", {"at_most": 60}),
    ("mixed, 70 % of the texts repeat", "requests/s", {"at_least": 700}),
)


def fill(url: str, agent: str = "load") -> None:
    for user in range(USERS):
        texts = Texts(5000 + user)
        who = {"agent_id": agent, "user_id": f"user {user}"}
        memories = [{"content": texts.told()} for _ in range(FILL)]
        httpx.post(f"{url}/v1/memories/batch", json=who | {"memories": memories}, timeout=60).raise_for_status()


def cpu_seconds() -> dict[str, float]:
    """CPU time used by what this process has started, by kind."""
    used = {"server": 0.0, "database": 0.0}
    for process in psutil.Process().children(recursive=True):
        try:
            times, kind = process.cpu_times(), "database" if process.name() == "postgres" else "server"
        except psutil.NoSuchProcess:
            continue
        # A database's children that have ended are in its own account.
        used[kind] += times.user + times.system + times.children_user + times.children_system
    return used


def load(url: str, seconds: int, series: int, options: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", url, "--json"]
    command += ["-u", str(USERS), "-r", str(USERS), "-t", f"{seconds}s", "--series", str(series), *options]
    before, own = cpu_seconds(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after, now = cpu_seconds(), os.times()
    try:
        rows = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"locust ended with {done.returncode}: {done.stderr[-2000:]}") from None
    answered = sum(row["num_requests"] for row in rows)
    ended = max(row["last_request_timestamp"] for row in rows)
    began = min(row["start_time"] for row in rows)
    times = sorted(float(ms) for row in rows for ms, number in row["response_times"].items() for _ in range(number))
    costs = {name: after[name] - before[name] for name in after}
    costs["load"] = now.children_user + now.children_system - own.children_user - own.children_system
    return {
        "requests/s": round(answered / (ended - began), 1),
        "p50 ms": times[len(times) // 2],
        "p95 ms": times[int(len(times) * 0.95)],
        "p99 ms": times[int(len(times) * 0.99)],
        "failures": sum(row["num_failures"] for row in rows),
    } | {f"{name} CPU ms/request": round(1000 * cost / answered, 2) for name, cost in costs.items()}


def run(seconds: int, rounds: int, workers: int, wanted: list[str]) -> dict[str, object]:
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        serve = [sys.executable, "-m", "agent_memory.entrypoints.cli", "serve", "--no-model", "--port", str(port)]
        options = ["--workers", str(workers), "--data-dir", folder]
        with running([*serve, *options], port, "/health", "none", NO_LIMITS) as server:
            fill(server.url)
            load(server.url, 5, 0, ["--writes", "0.25"])  # unmeasured: plans of connections, caches of the database
            samples: dict[str, list[dict[str, float]]] = {row: [] for row in wanted}
            for number in range(rounds):
                for place, row in enumerate(wanted):
                    series = 1 + number * len(ROWS) + place
                    agent = f"load {series}"  # whose scopes no earlier run has made larger
                    fill(server.url, agent)
                    samples[row].append(load(server.url, seconds, series, ["--agent", agent, *ROWS[row]]))
                    print(row, samples[row][-1], file=sys.stderr, flush=True)
    return {
        row: {name: median(sample[name] for sample in taken) for name in taken[0]} | {"samples": taken}
        for row, taken in samples.items()
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only this row; may be repeated")
    options = parser.parse_args()
    figures = run(options.seconds, options.rounds, options.workers, options.row or list(ROWS))
    bars = [bar(f"{row}, {name}", figures[row][name], **limit) for row, name, limit in BARS if row in figures]
    setting = {"users": USERS, "memories in a scope": FILL, "seconds": options.seconds, "workers": options.workers}
    report("load", setting | {"rows": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
