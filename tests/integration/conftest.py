"""A process of its own that opens a database in a folder, so that a test can kill it; and what tests of kept scopes
share.
"""

import os
import signal
import subprocess
import sys
import textwrap
from uuid import uuid4

import pytest

from agent_memory.adapters.postgres import connection, scope_cache
from agent_memory.adapters.postgres.scope_check import check
from agent_memory.domain.semantic.memory import Scope

PROGRAM = """
import asyncio, sys
from pathlib import Path
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory

async def main():
    async with embedded.running(Path(sys.argv[1])) as conninfo, connection.opened(conninfo, 1, 4) as database:
        memory = SemanticMemory(PostgresMemoryStore(database), HashingEmbedder())
        print("ready", conninfo, flush=True)
        for line in iter(sys.stdin.readline, ""):
            await memory.remember(agent_id="agent", user_id="user", content=line.strip())
            print("kept", flush=True)

asyncio.run(main())
"""


class Owner:
    """Keeps what it is told; `tell` returns once that is acknowledged."""

    def __init__(self, folder) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        word, _, self.conninfo = self._process.stdout.readline().strip().partition(" ")
        assert word == "ready"

    def tell(self, content: str) -> None:
        self._process.stdin.write(content + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "kept\n"

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def owner_of():
    owners = []

    def start(folder) -> Owner:
        owners.append(Owner(folder))
        return owners[-1]

    yield start
    for owner in owners:
        owner.kill()


@pytest.fixture
async def database(conninfo):
    async with connection.opened(conninfo, 2, 4) as opened:
        yield opened


@pytest.fixture
def scope():
    return Scope(f"agent {uuid4()}", "user")


@pytest.fixture
def asked(monkeypatch):
    """What each statement asks for, in the order in which they go out."""
    sent = []

    async def told(connection, of):
        sent.append(of)
        return await check(connection, of)

    monkeypatch.setattr(scope_cache, "check", told)
    return sent
