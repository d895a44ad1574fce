"""`agent-memory cache` on a folder that nobody serves."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from agent_memory.adapters.disk.agents import DiskAgentStore
from agent_memory.adapters.disk.blocks import DiskBlockStore, owned
from agent_memory.domain.kv.agents import Agent, AgentName
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.entrypoints.cli import cli
from agent_memory.ports.kv import Buffer, BytesPayload

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC) - timedelta(minutes=13)
ROOT = Namespace("default", "model", "spec").root


def chain(tenant="default", model="model", *, first=0, length=3):
    blocks, parent = [], Namespace(tenant, model, "spec").root
    for number in range(length):
        tokens = pack(range(first, 256 + first)) if number else pack(range(first + 1, first + 257))
        blocks.append(CacheBlock.after(parent, 256 * number, tokens))
        parent = blocks[-1].hash
    return blocks


def fill(folder, agent_id, blocks, model="model", **more):
    store, agents = DiskBlockStore(folder / "kv", 1 << 30, model, "spec"), DiskAgentStore(folder / "kv")
    for block in blocks:
        store.put(
            block, Part.LASTING, BytesPayload({"keys": Buffer("U8", (2000,), bytes([block.start % 250]) * 2000)}), ROOT
        )
    tokens = blocks[-1].end if blocks else 0
    agents.put(Agent(AgentName("default", agent_id), NOW, NOW, tuple(b.hash for b in blocks), tokens, **more))
    agents.close()
    return store


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path, "ada@example.org", chain(), turns=3, hits=2)
    fill(tmp_path, "bob", [*chain(length=1), *chain(first=7)[:1]], pinned=True)
    fill(tmp_path, "eve", chain(model="other"), model="other")
    return tmp_path


def run(folder, *arguments, code=0):
    told = CliRunner().invoke(cli, ["cache", *arguments, "--data-dir", str(folder)])
    assert told.exit_code == code, (told.stdout, told.stderr, told.exception)
    return told.stderr if code == 2 else told.stdout


def test_a_list_is_a_table_or_json(folder):
    agents = json.loads(run(folder, "ls", "--json"))
    assert [agent["agent_id"] for agent in agents] == ["ada@example.org", "bob", "eve"]
    assert "pinned" in run(folder, "ls")
    ada = agents[0]["cache"]
    assert (ada["disk"]["blocks"], ada["memory"]["blocks"], ada["restorable_tokens"]) == (3, 0, None)
    assert ada["shared_bytes"] * 3 == ada["disk"]["bytes"] == ada["shared_bytes"] + ada["own_bytes"]


def test_one_agent_is_shown_whole(folder):
    told = run(folder, "show", "ada@example.org")
    assert "3, 2" in told
    assert "768 in the last conversation" in told


def test_who_is_not_there_is_told_and_the_exit_code_is_2(folder):
    assert run(folder, "show", "nobody", code=2) == "agent-memory: no agent 'nobody'\n"


def test_a_name_cannot_harm_the_terminal(tmp_path):
    fill(tmp_path, "\x1b[31m[red]\n", [])
    told = run(tmp_path, "ls")
    assert "\x1b[31m" not in told
    assert "[red]" in told


def test_pins_are_kept(folder):
    assert "is pinned" in run(folder, "pin", "eve")
    assert json.loads(run(folder, "show", "eve", "--json"))["pinned"]
    run(folder, "unpin", "eve")
    assert not json.loads(run(folder, "show", "eve", "--json"))["pinned"]


def test_removing_leaves_what_others_use(folder):
    assert run(folder, "rm", "ada@example.org") == "ada@example.org is gone\n"
    left = json.loads(run(folder, "ls", "--json"))
    assert [(agent["agent_id"], agent["cache"]["disk"]["blocks"]) for agent in left] == [("bob", 2), ("eve", 3)]
    assert len(list((folder / "kv").glob("??/*"))) == 5


@pytest.mark.parametrize("agent", ["ada@example.org", "eve"])
def test_any_models_agent_travels(folder, tmp_path, agent):
    file, there = tmp_path / "agent.tar", tmp_path / "there"
    run(folder, "export", agent, str(file))
    assert "3 parts of blocks came, 0 were" in run(there, "import", str(file))
    assert "0 parts of blocks came, 3 were" in run(there, "import", str(file), "--as", "twin")
    assert "there is an agent" in run(there, "import", str(file), code=2)
    assert "all 3 files are sound" in run(there, "verify")
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_bundle_is_refused(folder, tmp_path):
    file = tmp_path / "agent.tar"
    run(folder, "export", "eve", str(file))
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    assert "its digest does not match" in run(tmp_path / "there", "import", str(file), code=2)
    assert "No such file" in run(folder, "import", str(tmp_path / "nothing"), code=2)


def test_an_export_that_fails_leaves_no_file(folder, tmp_path):
    run(folder, "export", "nobody", str(tmp_path / "nobody.tar"), code=2)
    assert not list(tmp_path.glob("nobody*"))


def test_verify_names_what_is_damaged(folder):
    path = next((folder / "kv").glob("??/*"))
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    told = run(folder, "verify", code=1)
    assert f"{path.name}: the digest does not match the content" in told
    assert "1 of 7 files are damaged" in told
    assert path.exists()
    assert len(json.loads(run(folder, "verify", "--json", code=1))["damaged"]) == 1


def test_gc_removes_the_unreachable_the_expired_and_what_was_put_aside(folder):
    store = DiskBlockStore(folder / "kv", 1 << 30, "model", "spec")
    store.delete(PartKey(chain()[1].hash, Part.LASTING))
    fill(folder, "old", chain(first=20), ttl=timedelta(microseconds=1))
    aside = folder / "kv" / "quarantine"
    aside.mkdir()
    (aside / "damaged").write_bytes(b"x" * 2048)
    unfinished = next((folder / "kv").glob("??")) / "half.tmp"
    unfinished.write_bytes(b"x")
    assert run(folder, "gc") == "removed 1 expired agents, 1 unreachable blocks, 1 damaged files (2.0 KB)\n"
    assert not unfinished.exists()
    assert [agent["agent_id"] for agent in json.loads(run(folder, "ls", "--json"))] == ["ada@example.org", "bob", "eve"]
    assert run(folder, "gc").startswith("removed 0 expired agents, 0 unreachable blocks, 0 damaged")


def test_what_exceeds_the_budget_goes_but_for_what_is_pinned(folder, monkeypatch):
    store = DiskBlockStore(folder / "kv", 1 << 30, "model", "spec")
    big = {"keys": Buffer("U8", (40 << 20,), bytes(40 << 20))}
    for block in chain(first=50):
        store.put(block, Part.LASTING, BytesPayload(big), ROOT)
    monkeypatch.setenv("AGENT_MEMORY_DISK_BUDGET_MB", "64")
    run(folder, "gc")
    assert sum(path.stat().st_size for path in (folder / "kv").glob("??/*")) <= 64 << 20
    assert json.loads(run(folder, "show", "bob", "--json"))["cache"]["disk"]["blocks"] == 2


def test_warming_needs_a_server(folder):
    assert "needs a server" in run(folder, "warm", "bob", code=2)


def test_a_folder_in_use_without_an_address_is_told(folder):
    with owned(folder / "kv"):
        assert "it has left no address" in run(folder, "ls", code=2)


def test_an_empty_folder_is_an_empty_list(tmp_path):
    assert json.loads(run(tmp_path / "new", "ls", "--json")) == []
