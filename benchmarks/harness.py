"""Writes what was measured, with where, when and how, and holds it against its bar. Knows nothing of servers."""

import argparse
import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import BLAS, has_blas

RESULTS = Path(__file__).parent / "results"


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="write the result to benchmarks/results too")
    return parser


def summary(samples: Iterable[float]) -> dict[str, object]:
    samples = list(samples)
    return {"median": round(statistics.median(samples), 4), "samples": [round(sample, 4) for sample in samples]}


def bar(what: str, figure: float, *, at_most: float | None = None, at_least: float | None = None) -> dict[str, object]:
    """A figure, what it is to be, and whether it is."""
    holds = (at_most is None or figure <= at_most) and (at_least is None or figure >= at_least)
    limit = {"at most": at_most} if at_least is None else {"at least": at_least}
    return {"what": what, "figure": round(figure, 4), **limit, "holds": holds}


def report(name: str, figures: dict[str, object], *, keep: bool) -> None:
    """Print it; with `keep`, write benchmarks/results/NAME.json."""
    command = "python -m " + " ".join([f"benchmarks.{name}", *sys.argv[1:]])
    head = {"command": command, "date": datetime.now(UTC).date().isoformat(), "machine": machine()}
    text = _without_long_lists(json.dumps(head | figures, indent=1))
    print(text)
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text + "\n")


def _without_long_lists(text: str) -> str:
    """A list of numbers on one line."""
    return re.sub(r"\[[\s\d.,e+-]*\]", lambda found: " ".join(found[0].split()), text)


def machine() -> dict[str, object]:
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.*)", cpuinfo.read_text())):
        cpu = found[1]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mlx": version("mlx"),
        "mlx-lm": version("mlx-lm"),
        "agent-memory": version("agent-memory"),
        "blas": BLAS if has_blas() else "as MLX was built",
    }
