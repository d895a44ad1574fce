"""Children that a program forks while its memory is open: they have no part in it, and keep nothing of it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.integration

OPENING = """
import asyncio, os, sys, time
from agent_memory.adapters.disk.blocks import owned
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.bootstrap import bootstrap
from agent_memory.domain.errors import Unavailable
from agent_memory.entrypoints.blocking import BlockingMemory
from agent_memory.settings import Settings
from pathlib import Path

SETTINGS = Settings(data_dir=sys.argv[1])
WHO = {"agent_id": "agent", "user_id": "user"}

def blocking():
    return BlockingMemory(SETTINGS, embedder=HashingEmbedder())

def forked(does):
    child = os.fork()
    if child == 0:
        try:
            does()
        finally:
            sys.stdout.flush()
            os._exit(0)
    return child

def told(call):
    try:
        print(call())
    except Unavailable as error:
        print(error)
"""

LEAVES = """
async def main():
    async with bootstrap(SETTINGS, conversation=None, embedder=HashingEmbedder()) as memory:
        await memory.remember(**WHO, content="a fact")
        child = forked(lambda: time.sleep(600))
    os.kill(child, 0)
    async with bootstrap(SETTINGS, conversation=None, embedder=HashingEmbedder()) as memory:
        print(await memory.memory.count(**WHO), flush=True)
    os.kill(child, 9)

asyncio.run(main())
"""

POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
    with blocking() as memory:
        memory.remember(**WHO, content="a fact")
        print(*pool.map(abs, [-1, -2, -3]))
    with blocking() as memory:
        print(memory.count(**WHO))
"""

KILLED = """
with blocking() as memory, owned(SETTINGS.data_folder / "kv"):
    memory.remember(**WHO, content="a fact")
    print(forked(lambda: time.sleep(600)), flush=True)
    time.sleep(600)
"""

REOPENS = """
with blocking() as memory, owned(SETTINGS.data_folder / "kv"):
    print(memory.count(**WHO))
"""

CHILD_USES_BLOCKING = """
with blocking() as memory:
    memory.remember(**WHO, content="a fact")
    memory.recall(**WHO, query="a fact")
    os.waitpid(forked(lambda: told(lambda: memory.recall(**WHO, query="a fact"))), 0)
    print(memory.count(**WHO), flush=True)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print(memory.count(**WHO))
if not child:
    os._exit(0)  # through the end of the context, which closes nothing of ours
"""

CHILD_USES_APPLICATION = """
async def main():
    async with bootstrap(SETTINGS, conversation=None, **PARTS) as memory:
        await memory.remember(**WHO, content="a fact")
        await memory.recall(**WHO, query="a fact")
        def asks(verb, **asked):
            return lambda: told(lambda: asyncio.run(verb(**WHO, **asked)))
        for does in (
            asks(memory.recall, query="a fact"),
            asks(memory.remember, content="another fact"),
            asks(memory.memory.count),
        ):
            os.waitpid(forked(does), 0)
        print(await memory.memory.count(**WHO))

PARTS = {"embedder": HashingEmbedder()} if sys.argv[2:] else {}
asyncio.run(main())
"""

FORKED = "the memory belongs to the process that opened it"


def started(program, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", OPENING + program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )


def said_by(program, *arguments) -> list[str]:
    process = started(program, *arguments)
    try:
        said, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 0
    return said.splitlines()


def test_leaving_does_not_wait_for_them(tmp_path):
    assert said_by(LEAVES, tmp_path) == ["1"]


def test_a_pool_of_processes_may_be_used_inside(tmp_path):
    assert said_by(POOL, tmp_path) == ["1 2 3", "1"]


def test_they_keep_nothing_of_a_process_that_is_killed(tmp_path):
    process = started(KILLED, tmp_path)
    child = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    began = time.monotonic()
    try:
        assert said_by(REOPENS, tmp_path) == ["1"]
        assert child.is_running()
        assert time.monotonic() - began < 60
    finally:
        child.kill()
        process.communicate()


def test_they_are_told_that_it_is_not_theirs(tmp_path):
    refusal, counted, again = said_by(CHILD_USES_BLOCKING, tmp_path)
    assert refusal.startswith(FORKED)
    assert (counted, again) == ("1", "1")


@pytest.mark.parametrize("replaced", [[], ["the embedder"]])
def test_they_are_told_so_by_an_application_as_well(tmp_path, models_dir, replaced):
    (tmp_path / "models").symlink_to(models_dir)
    *refusals, counted = said_by(CHILD_USES_APPLICATION, tmp_path, *replaced)
    assert len(refusals) == 3
    assert all(refusal.startswith(FORKED) for refusal in refusals)
    assert counted == "1"
