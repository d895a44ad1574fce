"""A change of the embedding model that is killed, again and again, ends all the same."""

import asyncio
import os
import random
import signal
import subprocess
import sys

import psycopg
import pytest

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory

pytestmark = pytest.mark.integration

WORKER = """
import asyncio, sys
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.reembedding import PostgresReembeddingStore
from agent_memory.application.reembedding import Reembedding

class Slow(HashingEmbedder):
    async def embed(self, texts, *, tenant):
        await asyncio.sleep(0.01)
        return await super().embed(texts, tenant=tenant)

async def main():
    async with connection.opened(sys.argv[1], 1, 1) as database:
        print("ready", flush=True)
        await Reembedding(PostgresReembeddingStore(database), Slow(96)).run()

asyncio.run(main())
"""


@pytest.fixture
def empty(conninfo):
    with psycopg.connect(conninfo, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS killed_models")
        server.execute("CREATE DATABASE killed_models")
    return conninfo.replace("dbname=postgres", "dbname=killed_models")


def worker(conninfo) -> subprocess.Popen:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", WORKER, conninfo], stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout.readline() == "ready\n"
    return process


async def test_workers_that_are_killed_lose_nothing(empty):
    dice = random.Random(7)
    async with connection.opened(empty, 1, 2) as database:
        memory = SemanticMemory(PostgresMemoryStore(database), HashingEmbedder(64))
        for number in range(400):
            await memory.remember(agent_id="agent", user_id="user", content=f"fact {number}")
    for _ in range(3):
        pair = [worker(empty), worker(empty)]
        await asyncio.sleep(dice.uniform(0.02, 0.1))
        for process in pair:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    last = worker(empty)
    last.communicate()
    assert last.returncode == 0
    with psycopg.connect(empty) as database:
        rows = database.execute("SELECT content, embedding_model, embedding_dimension FROM agent_memory.memories")
        assert sorted(rows.fetchall()) == sorted((f"fact {n}", "hashing-96", 96) for n in range(400))
