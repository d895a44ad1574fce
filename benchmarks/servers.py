"""Starts servers as processes of their own, on a port of their own, and ends them as a crash would.

Both get the same BLAS: ours loads it for itself, mlx-lm's is given it.
"""

import ctypes.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import IO

import httpx

BLAS = "libopenblas.so.0"
FOUR, SIXTEEN, PEER = "agent-memory 4 bits", "agent-memory 16 bits", "mlx_lm.server"


@dataclass(frozen=True)
class Server:
    url: str
    model: str
    pid: int
    process: subprocess.Popen[bytes]


Start = Callable[[], AbstractContextManager[Server]]


@contextmanager
def running(
    command: list[str], port: int, ready: str, model: str, environ: dict[str, str], *, log: int | IO[bytes] = DEVNULL
) -> Iterator[Server]:
    """The server, once `ready` answers; it is killed at the end. What it says goes to `log`."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, env=os.environ | environ, stdout=DEVNULL, stderr=log)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            try:
                httpx.get(url + ready, timeout=2)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield Server(url, model, process.pid, process)
    finally:
        process.kill()
        process.wait()


def ours(model: Path, data: Path, *, bits: int, **settings: int) -> AbstractContextManager[Server]:
    """`settings` are environment variables of ours."""
    port = free_port()
    command = [sys.executable, "-m", "agent_memory.entrypoints.cli", "serve", "--port", str(port)]
    options = ["--model", str(model), "--data-dir", str(data), "--log-level", "ERROR"]
    environ = {"SEMANTIC_MLX_KV_BITS": str(bits)} | {name: str(value) for name, value in settings.items()}
    return running(command + options, port, "/health", "default", environ)


def mlx_lm(model: Path) -> AbstractContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(model), "--port", str(port)]
    blas = {"LD_PRELOAD": BLAS} if has_blas() else {}
    return running([*command, "--log-level", "ERROR"], port, "/v1/models", "default_model", blas)


def contestants(model: Path, data: Path, **settings: int) -> dict[str, Start]:
    """Ours at both precisions and mlx-lm's, each found again with its data when it is started a second time."""
    return {
        FOUR: lambda: ours(model, data / "4", bits=4, **settings),
        SIXTEEN: lambda: ours(model, data / "16", bits=16, **settings),
        PEER: lambda: mlx_lm(model),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_blas() -> bool:
    return sys.platform == "linux" and ctypes.util.find_library("openblas") is not None
