"""Agents in a file: they outlive the process, and damage costs no more than itself."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent_memory.adapters.disk.agents import FILE, DiskAgentStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.agents import Agent, AgentName
from agent_memory.domain.kv.block import BlockHash

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 20, tzinfo=UTC)
ONE, TWO, THREE = (BlockHash(digit * 64) for digit in "123")

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from agent_memory.adapters.disk.agents import DiskAgentStore
from agent_memory.domain.kv.agents import Agent, AgentName
store, now = DiskAgentStore(Path(sys.argv[1])), datetime(2026, 11, 20, tzinfo=UTC)
for number in range(10**9):
    store.put(Agent(AgentName("t", str(number)), now, now, turns=number))
    print(number, flush=True)
"""


def agent(agent_id):
    return Agent(AgentName("t", agent_id), NOW, NOW)


@pytest.mark.parametrize("after", [1, 7, 50])
def test_what_was_acknowledged_survives_a_kill(tmp_path, after):
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environ
    )
    told = [int(writer.stdout.readline()) for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    store = DiskAgentStore(tmp_path)
    assert set(told) <= {each.turns for each in store.load()}
    store.close()


def test_a_file_that_is_none_is_put_aside(tmp_path, caplog):
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    store = DiskAgentStore(tmp_path)
    assert list(store.load()) == []
    assert "its agents are unknown" in caplog.text
    store.put(agent("ada"))
    store.close()
    again = DiskAgentStore(tmp_path)
    assert [each.name.id for each in again.load()] == ["ada"]
    again.close()


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    store = DiskAgentStore(tmp_path)
    store._database.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(Misconfigured, match="later version"):
        DiskAgentStore(tmp_path)


def test_a_place_that_fails_is_an_os_error(tmp_path):
    store = DiskAgentStore(tmp_path)
    store._database.execute("PRAGMA query_only = 1")
    with pytest.raises(OSError, match="cannot be written down"):
        store.put(agent("ada"))
    store.close()


def test_only_its_owner_may_read_it(tmp_path):
    store = DiskAgentStore(tmp_path)
    store.put(agent("ada"))
    assert len(list(tmp_path.iterdir())) == 3
    assert [path.name for path in tmp_path.iterdir() if path.stat().st_mode & 0o077] == []
    store.close()


def test_sealed_it_tells_nothing_without_the_key(tmp_path):
    store = DiskAgentStore(tmp_path, Sealed(b"k" * 32))
    store.put(agent("ada@example.org"))
    store.close()
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ada@" not in everything
    other = DiskAgentStore(tmp_path, Sealed(b"o" * 32))
    assert list(other.load()) == []
    other.close()
    again = DiskAgentStore(tmp_path, Sealed(b"k" * 32))
    assert [each.name.id for each in again.load()] == ["ada@example.org"]
    again.close()


def test_what_was_plain_is_sealed_once_there_is_a_key(tmp_path):
    plain = DiskAgentStore(tmp_path)
    plain.put(agent("ada@example.org"))
    plain.close()
    store = DiskAgentStore(tmp_path, Sealed(b"k" * 32))
    assert [each.name.id for each in store.load()] == ["ada@example.org"]
    store.close()
    assert b"ada@" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_was_asked_for_an_agent_outlasts_a_time_without_the_key(tmp_path):
    before = replace(agent("ada"), pinned=True, ttl=timedelta(days=2), turns=3, prompt_tokens=30, blocks=(ONE, TWO))
    since = replace(agent("ada"), created=NOW + timedelta(hours=1), turns=1, prompt_tokens=20, blocks=(THREE, ONE))
    for envelope, one in ((Sealed(b"k" * 32), before), (None, since)):
        store = DiskAgentStore(tmp_path, envelope)
        store.put(one)
        store.close()
    store = DiskAgentStore(tmp_path, Sealed(b"k" * 32))
    [together] = store.load()
    assert (together.pinned, together.ttl, together.created) == (True, timedelta(days=2), NOW)
    assert (together.turns, together.prompt_tokens, together.blocks) == (4, 50, (THREE, ONE, TWO))
    store.close()


def test_a_row_that_was_changed_is_left_out(tmp_path, caplog):
    store = DiskAgentStore(tmp_path, Sealed(b"k" * 32))
    store.put(agent("ada"))
    store.put(agent("bob"))
    store._database.execute("UPDATE agents SET note = x'00' WHERE name = ?", (store._name(AgentName("t", "ada")),))
    assert [each.name.id for each in store.load()] == ["bob"]
    assert "left out" in caplog.text
    store.close()
