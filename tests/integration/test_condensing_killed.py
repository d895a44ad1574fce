"""Workers that condense, and that forget, are killed, again and again: no pair is left half condensed."""

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

# Forgets one at random, and says so once it is done.
FORGETTER = f"""
import asyncio, random, sys
from datetime import UTC, datetime
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.domain.semantic.memory import MemoryType, Scope
from agent_memory.domain.semantic.selection import EVERYTHING
from agent_memory.domain.tenants import DEFAULT_TENANT

async def main():
    async with connection.opened(sys.argv[1], 1, 1) as database:
        archive, now = PostgresMemoryArchive(database), datetime.now(UTC)
        page = await archive.page(Scope("agent", "user"), EVERYTHING, now, None, 2 * {MEMORIES}, superseded=True)
        told = [memory for memory in page if memory.memory_type is MemoryType.EPISODIC]
        random.shuffle(told)
        print("ready", flush=True)
        for memory in told:
            await PostgresMemoryStore(database).remove(memory.id, "agent", tenant=DEFAULT_TENANT)
            print(memory.content, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def empty(conninfo):
    with psycopg.connect(conninfo, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS killed_condensing")
        server.execute("CREATE DATABASE killed_condensing")
    return conninfo.replace("dbname=postgres", "dbname=killed_condensing")


def worker(conninfo, program=WORKER) -> subprocess.Popen:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", program, conninfo], stdout=subprocess.PIPE, text=True, env=environ
    )
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


async def tell(conninfo) -> None:
    async with connection.opened(conninfo, 1, 2) as database:
        memory = SemanticMemory(PostgresMemoryStore(database), HashingEmbedder())
        for number in range(MEMORIES):
            await memory.remember(agent_id="agent", user_id="user", content=f"The code of door {number} is {number}.")


async def test_no_pair_is_left_half_condensed(empty):
    dice = random.Random(3)
    await tell(empty)
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


def check_forgotten(conninfo, forgotten: set[str]) -> None:
    """Nothing of what was forgotten is anywhere, and what stands for others says just what they said."""
    with psycopg.connect(conninfo) as database:
        rows = database.execute("SELECT id, content, memory_type, superseded_by FROM agent_memory.memories").fetchall()
    texts = {line for _, content, _, _ in rows for line in content.split("\n")}
    assert not texts & forgotten
    sources: dict[object, set[str]] = {}
    for _, content, _, by in rows:
        if by is not None:
            sources.setdefault(by, set()).add(content)
    made = {id_: set(content.split("\n")) for id_, content, kind, _ in rows if kind == "semantic"}
    assert sources == made


async def test_what_is_forgotten_lives_on_nowhere(empty):
    dice = random.Random(4)
    await tell(empty)
    forgotten: set[str] = set()
    for _ in range(4):
        workers = [worker(empty), worker(empty), worker(empty, FORGETTER), worker(empty, FORGETTER)]
        await asyncio.sleep(dice.uniform(0, 0.06))
        for process in workers:
            process.send_signal(signal.SIGKILL)
        said = [process.communicate()[0] for process in workers]
        # What a kill has cut off was not said to be done.
        forgotten |= {line for told in said[2:] for line in told.rpartition("\n")[0].split("\n") if line}
        check_forgotten(empty, forgotten)
    last = worker(empty)
    last.communicate()
    assert last.returncode == 0
    check_forgotten(empty, forgotten)
    assert forgotten
