"""A change of the embedding model that is killed, again and again, ends all the same."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from structlog.testing import capture_logs

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.bootstrap import bootstrap
from agent_memory.settings import DatabaseSettings, Settings
from agent_memory.wiring import tending

WHO = {"agent_id": "agent", "user_id": "user"}
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


async def until(conninfo, query, expected):
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as database:
        while await (await database.execute(query)).fetchall() != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_two_programs_with_different_models_do_not_undo_each_others_vectors(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(tending, "_RENEWING", timedelta(seconds=0.05))
    at = {key: value for key, value in conninfo_to_dict(empty).items() if key != "dbname"}
    database = DatabaseSettings(f"postgresql:///killed_models?{urlencode(at)}", min_pool_size=1, max_pool_size=4)
    settings = Settings(data_dir=str(tmp_path), database=database)
    claim = "SELECT model, dimension FROM agent_memory.embedder_claim"
    models = "SELECT embedding_model, count(*) FROM agent_memory.memories GROUP BY 1"
    with capture_logs() as told:
        async with bootstrap(settings, conversation=None, embedder=HashingEmbedder(64)) as former:
            await former.remember(**WHO, content="The red boat is in the harbour")
            await until(empty, claim, [("hashing-64", 64)])
            async with bootstrap(settings, conversation=None, embedder=HashingEmbedder(96)) as latter:
                await until(empty, models, [("hashing-96", 1)])
                await former.remember(**WHO, content="Interest rates rise")
                await until(empty, models, [("hashing-96", 2)])
                with psycopg.connect(empty, autocommit=True) as database:
                    written = "SELECT id, xmin::text FROM agent_memory.memories ORDER BY id"
                    before = database.execute(written).fetchall()
                    await asyncio.sleep(1)  # twenty rounds of each
                    assert database.execute(written).fetchall() == before
                for program in (former, latter):
                    found = await program.recall(**WHO, query="Where is the boat?")
                    assert found[0].memory.content == "The red boat is in the harbour"
    warned = [(line["model"], line["ours"]) for line in told if "vectors of its model" in line["event"]]
    assert warned == [("hashing-96", "hashing-64")]
