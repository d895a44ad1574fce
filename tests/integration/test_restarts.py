"""The database goes away and comes back under load, and many servers come at once."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.remembering import Remembering
from agent_memory.application.semantic_memory import SemanticMemory

pytestmark = pytest.mark.integration
WHO = {"agent_id": "agent", "user_id": "user"}

WORKER = """
import asyncio, sys
from agent_memory.adapters.postgres import connection

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with connection.opened(sys.argv[1], 1, 1):
        pass

asyncio.run(main())
"""


def postmasters(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "name"])
        if process.info["name"] == "postgres"
        and "-D" in (process.info["cmdline"] or [])
        and str(folder) in " ".join(process.info["cmdline"])
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGQUIT])
async def test_nothing_fails_while_the_database_restarts(tmp_path, number, monkeypatch):
    """Sixteen who write and search see a pause, and no error; what they were told is kept is there, once."""
    monkeypatch.setattr(connection, "_PATIENCE", 60.0)  # the machine that tests may be slow
    dice, told = random.Random(number), []
    async with embedded.running(tmp_path) as conninfo, connection.opened(conninfo, 4, 8) as pool:
        store, embedder = PostgresMemoryStore(pool), HashingEmbedder()
        memory = SemanticMemory(store, embedder)
        remembering = Remembering(store, PostgresMemoryArchive(pool), embedder)
        ended = asyncio.Event()

        async def life(name: int) -> None:
            count = 0
            while not ended.is_set():
                content, count = f"{name} {count}", count + 1
                await remembering.remember({"content": content}, **WHO)
                told.append(content)
                await memory.recall(**WHO, query=content, top_k=1)

        lives = [asyncio.create_task(life(name)) for name in range(16)]
        for _ in range(2):
            await asyncio.sleep(dice.uniform(0.1, 0.3))
            while not (running := postmasters(tmp_path)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            running[0].send_signal(number)
            await asyncio.sleep(0.3)
        before = len(told)
        async with asyncio.timeout(60):
            while len(told) < before + 32:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        ended.set()
        await asyncio.gather(*lives)
        with psycopg.connect(conninfo) as database:
            rows = database.execute("SELECT content FROM agent_memory.memories").fetchall()
    kept = [content for (content,) in rows]
    assert sorted(set(kept)) == sorted(kept)
    assert set(told) <= set(kept)


def test_eight_servers_may_come_at_once_to_an_empty_database(conninfo):
    with psycopg.connect(conninfo, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS eight")
        server.execute("CREATE DATABASE eight")
    target = conninfo.replace("dbname=postgres", "dbname=eight")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        for _ in range(8)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0] * 8
    with psycopg.connect(target) as database:
        [[versions, distinct]] = database.execute(
            "SELECT count(*), count(DISTINCT version) FROM agent_memory.schema_versions"
        ).fetchall()
    assert versions == distinct >= 8
