"""Keys of a real server: made and revoked beside it from the command line, two tenants, and no door open to all."""

import json
import signal
import subprocess
import sys

import httpx
import openai
import pytest

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "agent_memory.entrypoints.cli"]
ADA = {"agent_id": "guide", "user_id": "ada"}
LONG = "Tell me about the harbour, the market and the three bridges, one after the other. " * 8
CHAT = {"messages": [{"role": "user", "content": LONG}], "temperature": 0, "max_tokens": 4}


def run(data_dir, *arguments, code=0):
    done = subprocess.run(
        [*COMMAND, *arguments, "--data-dir", str(data_dir)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def keys(data_dir, *arguments, code=0):
    return run(data_dir, "keys", *arguments, code=code)


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def count(url, headers=None):
    answer = httpx.get(f"{url}/v1/memories/count?agent_id=guide&user_id=ada", headers=headers, timeout=60)
    return answer.json()["count"] if answer.status_code == 200 else answer.status_code


def test_keys_made_beside_a_running_server_divide_it_at_once(start, tmp_path):
    data = tmp_path / "data"
    server = start(data).wait_ready()
    assert count(server.url) == 0
    acme = keys(data, "create", "--tenant", "acme", "--name", "for the tests").strip()
    bolt = json.loads(keys(data, "create", "--tenant", "bolt", "--json"))
    httpx.post(f"{server.url}/v1/memories", json=ADA | {"content": "x"}, headers=bearer(acme), timeout=60)
    assert (count(server.url, bearer(acme)), count(server.url, {"x-api-key": bolt["key"]})) == (1, 0)
    assert [key["tenant"] for key in json.loads(keys(data, "ls", "--json"))] == ["acme", "bolt"]
    assert acme.split("_")[1] in keys(data, "ls")
    assert acme.split("_", 2)[2] not in keys(data, "ls") + keys(data, "ls", "--json")

    def cached(key):
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
            told = client.chat.completions.create(model="default", extra_body={"agent_id": "guide"}, **CHAT)
            return told.usage.prompt_tokens_details.cached_tokens

    assert cached(acme) == 0
    assert cached(acme) > 0
    assert cached(bolt["key"]) == 0
    assert json.loads(run(data, "cache", "ls", "--json")) == []  # the default tenant's, and the command line has a key

    keys(data, "revoke", bolt["key_id"])
    assert count(server.url, bearer(bolt["key"])) == 401
    with pytest.raises(openai.AuthenticationError):
        cached(bolt["key"])
    assert count(server.url, bearer(acme)) == 1
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert json.loads(keys(data, "ls", "--json"))[1]["status"] == "revoked"
    back = start(data).wait_ready()
    assert (count(back.url), count(back.url, bearer(acme)), count(back.url, bearer(bolt["key"]))) == (401, 1, 401)


def test_a_server_that_others_reach_does_not_start_without_keys(start, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    refused = start(data, "--no-model", "--host", "0.0.0.0")
    assert refused.wait() == 2
    assert "agent-memory keys create" in "\n".join(refused.logged)
    assert "Traceback" not in "\n".join(refused.logged)
    careless = start(data, "--no-model", "--host", "0.0.0.0", "--allow-unauthenticated").wait_ready()
    assert count(careless.url.replace("0.0.0.0", "127.0.0.1")) == 0
    careless.signal(signal.SIGTERM)
    careless.wait()
    key = keys(data, "create").strip()
    server = start(data, "--no-model", "--host", "0.0.0.0").wait_ready()
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    assert (count(url), count(url, bearer(key))) == (401, 0)


def test_several_workers_share_the_keys(start, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    refused = start(data, "--no-model", "--workers", "2", "--host", "0.0.0.0")
    assert refused.wait() == 2
    server = start(data, "--no-model", "--workers", "2").wait_ready()
    made = json.loads(keys(data, "create", "--json"))
    assert {count(server.url, bearer(made["key"])) for _ in range(20)} == {0}
    keys(data, "revoke", made["key_id"])
    assert {count(server.url, bearer(made["key"])) for _ in range(20)} == {401}


def test_a_page_whose_name_leads_here_is_not_answered(server):
    answer = httpx.get(f"{server.url}/health", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert httpx.get(f"{server.url}/health", headers={"Origin": "https://evil.example"}).status_code == 403


def test_wrong_arguments_are_one_line(tmp_path):
    assert "tenant" in keys(tmp_path, "create", "--tenant", "A B", code=2)
    assert "expires" in keys(tmp_path, "create", "--expires", "soon", code=2)
    assert "no key" in keys(tmp_path, "revoke", "nothing", code=2)
