"""The real server as a process of its own, on a data directory of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import openai
import pytest
from models import make_model

COMMAND = [sys.executable, "-m", "agent_memory.entrypoints.cli", "serve"]
PATIENCE = 120


class Server:
    """Started when made, ready when `wait_ready` returns; what it prints is kept."""

    def __init__(self, data_dir, *options, **environ) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SEMANTIC_", "AGENT_MEMORY_", "DATABASE_"))}
        self.process = subprocess.Popen(
            [*COMMAND, "--port", "0", "--data-dir", str(data_dir), *options],
            env=clean | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed, self.logged = [], []
        self._ready = threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.printed), (self.process.stderr, self.logged))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, lines) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))
                if "/docs" in line:
                    self._ready.set()
        self._ready.set()

    def wait_ready(self) -> "Server":
        assert self._ready.wait(PATIENCE), self.logged
        found = re.search(r"ready at (http://\S+)", "\n".join(self.printed))
        assert found, self.logged
        self.url = found[1]
        return self

    def signal(self, number) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        return code

    def wait_for_no_turn(self) -> None:
        for _ in range(100):
            if "agent_memory_engine_turns_running 0.0" in httpx.get(f"{self.url}/metrics").text:
                return
            time.sleep(0.1)
        pytest.fail("a turn goes on")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.wait()


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A small language model with random weights."""
    return make_model(tmp_path_factory.mktemp("language") / "random-llama", "llama")


@pytest.fixture(scope="session")
def servers():
    """All that run, the last to be started last."""
    running = []
    yield running
    end(running)


@pytest.fixture(scope="module", autouse=True)
def _no_longer_than_its_module(servers):
    before = len(servers)
    yield
    end(servers, before)


@pytest.fixture(autouse=True)
def _no_longer_than_its_test(servers):
    """What a module's or the session's fixtures started is there before, and stays."""
    before = len(servers)
    yield
    end(servers, before)


def end(servers, first=0) -> None:
    while len(servers) > first:
        servers.pop().kill()


@pytest.fixture(scope="session")
def start(models_dir, model, servers):
    """Starts a server, which runs to the end of the test, or of the fixture's scope. The embedding model, which takes
    seconds to prepare, is shared between them.
    """

    def begin(data_dir, *options, **environ) -> Server:
        if not {"--model", "--no-model"} & set(options):
            options = (*options, "--model", str(model))
        if data_dir.parent.is_dir() and not (data_dir / "models").exists():
            data_dir.mkdir(exist_ok=True)
            (data_dir / "models").symlink_to(models_dir)
        servers.append(Server(data_dir, *options, **environ))
        return servers[-1]

    return begin


@pytest.fixture(scope="session", autouse=True)
def server(start, tmp_path_factory):
    """One server for all tests that only ask, started before any other."""
    return start(tmp_path_factory.mktemp("data")).wait_ready()


@pytest.fixture(scope="module")
def client(server):
    """OpenAI's own."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client
