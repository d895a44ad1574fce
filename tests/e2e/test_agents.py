"""Agents of a real server: they survive its death, fork, travel to another machine, and answer to the command line."""

import json
import signal
import subprocess
import sys
import time

import httpx
import pytest

LONG = "Tell me about the harbour, the market and the three bridges, one after the other. " * 8
CACHE = [sys.executable, "-m", "agent_memory.entrypoints.cli", "cache"]


def ask(server, content=LONG, agent=None):
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 12}
    headers = {} if agent is None else {"X-Agent-ID": agent.encode()}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told["choices"][0]["message"]["content"], told["usage"]["prompt_tokens_details"]["cached_tokens"]


def cache(data_dir, *arguments, code=0):
    done = subprocess.run(
        [*CACHE, *arguments, "--data-dir", str(data_dir)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return (done.stderr if code else done.stdout).decode()


def get(server, path):
    return httpx.get(f"{server.url}{path}", timeout=60)


def on_disk(server, agent):
    for _ in range(100):
        told = get(server, f"/v1/agents/{agent}").json()
        if told["cache"]["disk"]["blocks"] == told["cache"]["blocks"] > 0:
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def test_agents_survive_the_servers_death(start, tmp_path):
    server = start(tmp_path / "data").wait_ready()
    answer, _ = ask(server, agent="ada@example.org/東京")
    told = on_disk(server, "ada%40example.org%2F%E6%9D%B1%E4%BA%AC")
    httpx.post(f"{server.url}{told['href']}/pin", timeout=60)
    server.signal(signal.SIGKILL)
    server.wait()
    back = start(tmp_path / "data").wait_ready()
    again = get(back, told["href"]).json()
    assert again["pinned"]
    assert again["turns"] == 1
    assert again["created_at"] == told["created_at"]
    assert again["cache"]["disk"] == told["cache"]["disk"]
    assert again["cache"]["restorable_tokens"] == told["cache_size_tokens"]
    assert ask(back, agent="ada@example.org/東京") == (answer, ask(back)[1])


@pytest.fixture(scope="module")
def served(start, tmp_path_factory):
    """A server of these tests' own, and its data folder."""
    folder = tmp_path_factory.mktemp("served")
    return start(folder).wait_ready(), folder


def test_an_agent_goes_on_another_machine(served, start, tmp_path):
    here, _ = served
    answer, _ = ask(here, agent="traveller")
    _, cached = ask(here, agent="traveller")
    file = get(here, "/v1/agents/traveller/export")
    there = start(tmp_path / "there").wait_ready()
    sent = httpx.post(f"{there.url}/v1/agents/import", content=file.content, timeout=60)
    assert sent.status_code == 201, sent.text
    assert ask(there, agent="traveller") == (answer, cached)
    damaged = bytearray(file.content)
    damaged[len(damaged) // 3] ^= 4
    refused = httpx.post(f"{there.url}/v1/agents/import?agent_id=x", content=bytes(damaged), timeout=60)
    assert refused.status_code == 422


def test_the_command_line_asks_the_server_that_owns_the_folder(served):
    server, folder = served
    ask(server, agent="a/b")
    on_disk(server, "a%2Fb")
    assert "a/b" in cache(folder, "ls")
    assert json.loads(cache(folder, "show", "a/b", "--json"))["status"] == "hot"
    assert "is pinned" in cache(folder, "pin", "a/b")
    assert get(server, "/v1/agents/a%2Fb").json()["pinned"]
    assert "is warm" in cache(folder, "warm", "a/b")
    assert "are sound" in cache(folder, "verify")
    assert "removed 0 expired agents" in cache(folder, "gc")
    assert "no agent 'nobody'" in cache(folder, "show", "nobody", code=2)
    cache(folder, "export", "a/b", str(folder / "ab.tar"))
    assert "is here" in cache(folder, "import", str(folder / "ab.tar"), "--as", "again")
    cache(folder, "rm", "again")
    assert get(server, "/v1/agents/again").status_code == 404


def test_the_command_line_opens_the_folder_when_nobody_serves_it(start, tmp_path):
    server = start(tmp_path / "data").wait_ready()
    answer, _ = ask(server, agent="ada")
    ask(server, agent="bob")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    folder = tmp_path / "data"
    assert not (folder / "server.json").exists()
    assert [each["agent_id"] for each in json.loads(cache(folder, "ls", "--json"))] == ["ada", "bob"]
    assert "unknown without a model" in cache(folder, "show", "ada")
    cache(folder, "pin", "ada")
    cache(folder, "export", "ada", str(tmp_path / "ada.tar"))
    cache(folder, "rm", "bob")
    assert "needs a server" in cache(folder, "warm", "ada", code=2)
    assert "is here" in cache(tmp_path / "other", "import", str(tmp_path / "ada.tar"))
    assert "are sound" in cache(tmp_path / "other", "verify")
    back = start(tmp_path / "other").wait_ready()
    text, cached = ask(back, agent="ada")
    assert text == answer
    assert cached > 0


def test_a_folder_whose_server_does_not_answer_is_told_so(served):
    _, folder = served
    address = folder / "server.json"
    told = address.read_text()
    try:
        address.write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": 1}))
        assert "does not answer at http://127.0.0.1:9" in cache(folder, "ls", code=2)
        address.unlink()
        assert "it has left no address" in cache(folder, "ls", code=2)
    finally:
        address.write_text(told)
