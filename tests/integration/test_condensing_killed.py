"""Workers that condense are killed, again and again: no pair is left half condensed."""

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
MEMORIES, THRESHOLD, BATCH = 300, 20, 10

WORKER = f"""
import asyncio, sys
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.application.consolidation import Consolidation
from agent_memory.domain.semantic.retention import Retention

async def main():
    async with connection.opened(sys.argv[1], 1, 1) as database:
        print("ready", flush=True)
        retention = Retention({THRESHOLD}, {BATCH})
        consolidation = Consolidation(PostgresCondensingStore(database), HashingEmbedder(), retention=retention)
        while await PostgresCondensingStore(database).crowded({THRESHOLD}, None):
            await consolidation.run_once()

asyncio.run(main())
"""


@pytest.fixture
def empty(conninfo):
    with psycopg.connect(conninfo, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS killed_condensing")
        server.execute("CREATE DATABASE killed_condensing")
    return conninfo.replace("dbname=postgres", "dbname=killed_condensing")


def worker(conninfo) -> subprocess.Popen:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", WORKER, conninfo], stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout.readline() == "ready\n"
    return process


def check(conninfo) -> int:
    """Every source is held or stands behind one memory that is there, and each of these stands for a whole batch."""
    with psycopg.connect(conninfo) as database:
        rows = database.execute(
            "SELECT s.id, count(m.id) FROM agent_memory.memories AS s "
            "LEFT JOIN agent_memory.memories AS m ON m.superseded_by = s.id "
            "WHERE s.memory_type = 'semantic' GROUP BY s.id"
        ).fetchall()
        assert {number for _, number in rows} <= {BATCH}
        [[orphans]] = database.execute(
            "SELECT count(*) FROM agent_memory.memories AS m WHERE superseded_by IS NOT NULL "
            "AND NOT EXISTS (SELECT FROM agent_memory.memories WHERE id = m.superseded_by)"
        ).fetchall()
        assert orphans == 0
        [[sources]] = database.execute(
            "SELECT count(*) FROM agent_memory.memories WHERE memory_type = 'episodic'"
        ).fetchall()
        assert sources == MEMORIES
    return len(rows)


async def test_no_pair_is_left_half_condensed(empty):
    dice = random.Random(3)
    async with connection.opened(empty, 1, 2) as database:
        memory = SemanticMemory(PostgresMemoryStore(database), HashingEmbedder())
        for number in range(MEMORIES):
            await memory.remember(agent_id="agent", user_id="user", content=f"The code of door {number} is {number}.")
    for _ in range(4):
        workers = [worker(empty) for _ in range(3)]
        await asyncio.sleep(dice.uniform(0, 0.04))
        for process in workers:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        check(empty)
    last = worker(empty)
    last.communicate()
    assert last.returncode == 0
    assert check(empty) == (MEMORIES - THRESHOLD) // BATCH
