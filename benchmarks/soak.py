"""How much memory does the server take without a language model, and does that grow?

Fifty users search and remember (75/25) in a thousand scopes; no two texts are alike, so that every cache fills. After
each few thousand requests the memory of the server's process is read, and the database's beside it, whose shared memory
is counted once. The slope is that of the second half: until then the caches fill to their bounds.

    python -m benchmarks.soak [--requests 100000] [--json]
"""

import statistics
import sys
import tempfile

import psutil

from benchmarks.harness import arguments, bar, report
from benchmarks.load.__main__ import NO_LIMITS, fill, load
from benchmarks.servers import free_port, running

STEP_SECONDS = 15
OPTIONS = ["--writes", "0.25", "--scopes", "1000"]


def memory_mb() -> dict[str, float]:
    """Resident, in MB; of the database each process's own share."""
    used = {"server": 0.0, "database": 0.0}
    for process in psutil.Process().children(recursive=True):
        if process.name() == "postgres":
            used["database"] += process.memory_full_info().pss / 1e6
        else:
            used["server"] += process.memory_info().rss / 1e6
    return {name: round(value, 1) for name, value in used.items()}


def run(requests: int) -> list[dict[str, float]]:
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        serve = [sys.executable, "-m", "agent_memory.entrypoints.cli", "serve", "--no-model", "--port", str(port)]
        with running([*serve, "--data-dir", folder], port, "/health", "none", NO_LIMITS) as server:
            series = [{"requests": 0, **memory_mb()}]
            fill(server.url)
            while series[-1]["requests"] < requests:
                figures = load(server.url, STEP_SECONDS, len(series), OPTIONS)
                if figures["failures"]:
                    raise RuntimeError(f"{figures['failures']} requests failed")
                done = series[-1]["requests"] + round(figures["requests/s"] * STEP_SECONDS)
                series.append({"requests": done, **memory_mb()})
                print(series[-1], file=sys.stderr, flush=True)
    return series


def summary(series: list[dict[str, float]]) -> dict[str, float]:
    late = series[min(len(series) // 2, len(series) - 2) :]
    slope = statistics.linear_regression([each["requests"] for each in late], [each["server"] for each in late]).slope
    return {
        "server MB at the start": series[0]["server"],
        "server MB at most": max(each["server"] for each in series),
        "server MB at the end": series[-1]["server"],
        "database MB at the end": series[-1]["database"],
        "both MB at most": round(max(each["server"] + each["database"] for each in series), 1),
        "server MB per 100,000 requests, second half": round(100_000 * slope, 2),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    series = run(options.requests)
    figures = summary(series)
    slope = "server MB per 100,000 requests, second half"
    bars = [
        bar("server MB at most", figures["server MB at most"], at_most=700),
        bar(slope, figures[slope], at_most=10),  # of some 400: what an allocator may keep
    ]
    report("soak", {"requests": series[-1]["requests"], **figures, "bars": bars, "series": series}, keep=options.json)


if __name__ == "__main__":
    main()
