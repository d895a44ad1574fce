"""The real server and its blocks on disk: sealed, damaged, taken away, counted."""

import base64
import re
import shutil
import signal
import time

import httpx
import pytest

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()
LONG = "Tell me about the harbour, the market and the three bridges, one after the other. " * 12
MESSAGES = [{"role": "system", "content": "You are a guide."}, {"role": "user", "content": LONG}]


def ask(server, messages=MESSAGES):
    """The text, and how many tokens were cached."""
    body = {"model": "default", "messages": messages, "temperature": 0, "max_tokens": 16}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    cached = told["usage"]["prompt_tokens_details"]["cached_tokens"]
    return told["choices"][0]["message"]["content"], cached


def metric(server, name):
    text = httpx.get(f"{server.url}/metrics").text
    return float(re.search(rf"^agent_memory_engine_{name} (\S+)$", text, re.MULTILINE)[1])


def written(server):
    """Wait until nothing waits to be written. An answer is read again, and then kept, when it has been heard."""
    for _ in range(200):
        busy = metric(server, "turns_running") or metric(server, "pending_writes")
        if metric(server, "blocks_written_total") and not busy:
            return
        time.sleep(0.05)
    raise AssertionError("blocks are still waiting to be written")


def kill(server):
    server.signal(signal.SIGKILL)
    server.wait()


def files(data):
    return [path for path in (data / "kv").rglob("??/*") if path.is_file() and "quarantine" not in path.parts]


def test_a_sealed_folder_serves_its_key_only_and_outlives_another(start, tmp_path):
    server = start(tmp_path, AGENT_MEMORY_ENCRYPTION_KEY=KEY).wait_ready()
    text, _ = ask(server)
    written(server)
    kill(server)
    assert {path.suffix for path in files(tmp_path)} == {".sealed"}

    wrong = start(tmp_path, AGENT_MEMORY_ENCRYPTION_KEY=OTHER_KEY).wait_ready()
    assert ask(wrong) == (text, 0)
    assert any("left alone" in line for line in wrong.logged)
    kill(wrong)

    server = start(tmp_path, AGENT_MEMORY_ENCRYPTION_KEY=KEY).wait_ready()
    again, cached = ask(server)
    assert again == text
    assert cached > 100


def test_a_key_of_another_form_is_refused_by_name(start, tmp_path):
    server = start(tmp_path, AGENT_MEMORY_ENCRYPTION_KEY="hunter2hunter2")
    assert server.wait() == 2
    assert "AGENT_MEMORY_ENCRYPTION_KEY: must be 32 bytes in base64" in server.logged[0]
    assert "hunter2" not in "".join(server.logged)


@pytest.mark.parametrize("key", [{}, {"AGENT_MEMORY_ENCRYPTION_KEY": KEY}], ids=["plain", "sealed"])
def test_damaged_blocks_are_computed_anew(start, tmp_path, key):
    server = start(tmp_path, **key).wait_ready()
    text, _ = ask(server)
    written(server)
    kill(server)
    for number, path in enumerate(files(tmp_path)):
        data = bytearray(path.read_bytes())
        data[len(data) * (number + 1) // (len(files(tmp_path)) + 1)] ^= 16
        path.write_bytes(data)
    server = start(tmp_path, **key).wait_ready()
    assert ask(server) == (text, 0)
    assert any("is damaged and put aside" in line for line in server.logged)
    again, cached = ask(server)
    assert again == text
    assert cached > 100


def test_a_folder_that_is_taken_away_under_the_server(start, tmp_path):
    server = start(tmp_path).wait_ready()
    text, _ = ask(server)
    written(server)
    shutil.rmtree(tmp_path / "kv")
    (tmp_path / "kv").write_text("a file where the folder was")
    assert ask(server)[0] == text
    other = [{"role": "user", "content": "Something else. " * 80}]
    text, _ = ask(server, other)
    assert ask(server, other)[0] == text
    assert metric(server, "write_errors_total") > 0
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_bytes_written_are_counted_over_restarts_and_kept_to_a_budget(start, tmp_path):
    server = start(tmp_path).wait_ready()
    ask(server)
    written(server)
    today, total = metric(server, "bytes_written_today"), metric(server, "bytes_written_total")
    assert today == total > sum(path.stat().st_size for path in files(tmp_path))
    kill(server)
    server = start(tmp_path, AGENT_MEMORY_DISK_DAILY_WRITE_MB="1").wait_ready()
    assert metric(server, "bytes_written_total") == total
    for number in range(40):
        other = [{"role": "user", "content": f"Number {number}. {LONG}"}]
        ask(server, other)
        if metric(server, "writes_withheld_total"):
            break
    assert metric(server, "writes_withheld_total") > 0
    assert metric(server, "bytes_written_today") <= (1 << 20) + 100_000
    assert ask(server, other)[1] > 100  # from memory
    assert ask(server)[1] > 100  # from disk
    assert any("in memory only until midnight" in line for line in server.logged)
