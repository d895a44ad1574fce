"""Starts servers as processes of their own, times requests, and writes what was measured with where and when."""

import ctypes.util
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx

RESULTS = Path(__file__).parent / "results"
BLAS = "libopenblas.so.0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Server:
    url: str
    model: str


@contextmanager
def running(command: list[str], port: int, ready: str, model: str, **environ: str) -> Iterator[Server]:
    """The server, once `ready` answers; it is killed at the end, as by a crash."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            try:
                httpx.get(url + ready, timeout=2)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Server(url, model)
    finally:
        process.kill()
        process.wait()


def ours(model: Path, data: Path, *, bits: int = 4):
    port = free_port()
    command = [sys.executable, "-m", "agent_memory.entrypoints.cli", "serve", "--port", str(port)]
    options = ["--model", str(model), "--data-dir", str(data), "--log-level", "ERROR"]
    return running(command + options, port, "/health", "default", SEMANTIC_MLX_KV_BITS=str(bits))


def mlx_lm(model: Path):
    """mlx-lm's own server, with the BLAS that ours loads for itself."""
    port = free_port()
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(model), "--port", str(port)]
    blas = {"LD_PRELOAD": BLAS} if _has_blas() else {}
    return running([*command, "--log-level", "ERROR"], port, "/v1/models", "default_model", **blas)


def _has_blas() -> bool:
    return sys.platform == "linux" and ctypes.util.find_library("openblas") is not None


def ask(server: Server, messages: list[dict[str, str]], max_tokens: int = 1) -> tuple[float, dict]:
    """Seconds until the whole answer is there, and the answer. With one token that is the time to the first."""
    body = {"model": server.model, "messages": messages, "temperature": 0}
    started = time.perf_counter()
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body | {"max_tokens": max_tokens}, timeout=600)
    seconds = time.perf_counter() - started
    answer.raise_for_status()
    return seconds, answer.json()


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
        "blas": BLAS if _has_blas() else "as MLX was built",
    }


def summary(samples: list[float]) -> dict[str, object]:
    return {"median": round(statistics.median(samples), 4), "samples": [round(sample, 4) for sample in samples]}


def write(name: str, figures: dict[str, object]) -> Path:
    """benchmarks/results/NAME.json"""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    command = "python -m " + " ".join([f"benchmarks.{name}", *sys.argv[1:]])
    head = {"command": command, "date": datetime.now(UTC).date().isoformat(), "machine": machine()}
    path.write_text(json.dumps(head | figures, indent=1) + "\n")
    return path
