"""The server as a newcomer meets it: it says what it is, keeps what it acknowledged, and ends in order."""

import signal
import socket
import subprocess
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

pytestmark = pytest.mark.integration

ADA = {"agent_id": "guide", "user_id": "ada"}


def test_it_says_what_it_runs_on_and_what_to_try(server):
    printed = "\n".join(server.printed)
    for told in ("embedded PostgreSQL", "all-MiniLM-L6-v2", "random-llama, 4-bit", f"curl {server.url}/v1/memories"):
        assert told in printed
    assert server.logged == [] or "level=info" in server.logged[0]


def test_the_first_request_needs_no_warm_up(start, tmp_path):
    server = start(tmp_path).wait_ready()
    answer = httpx.post(f"{server.url}/v1/memories", json=ADA | {"content": "Ada lives in Lisbon."})
    assert answer.status_code == 201
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_what_was_acknowledged_survives_a_kill(start, tmp_path):
    names = []
    for number in range(3):
        server = start(tmp_path).wait_ready()
        answer = httpx.post(f"{server.url}/v1/memories", json=ADA | {"content": f"Fact number {number}."})
        server.kill()
        names.append(answer.json()["id"])
    server = start(tmp_path).wait_ready()
    found = httpx.post(f"{server.url}/v1/memories/search", json=ADA | {"query": "fact number"}).json()["results"]
    assert {each["id"] for each in found} == set(names)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start, tmp_path, number):
    server = start(tmp_path).wait_ready()
    server.signal(number)
    assert server.wait() == 0
    assert not [line for line in server.logged if "Traceback" in line]


def test_a_signal_while_it_starts_ends_it_too(start, tmp_path):
    server = start(tmp_path)
    while not (tmp_path / "postgres").exists():
        assert server.process.poll() is None
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not [line for line in server.logged if "Traceback" in line]


def test_it_is_healthy(server):
    told = httpx.get(f"{server.url}/health").json()
    assert (told["status"], told["parts"]["db"]) == ("ok", "ok")


def hanging_request(server, name="localhost"):
    """A request whose body never comes."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"POST /v1/memories HTTP/1.1\r\nHost: {name}\r\nContent-Length: 100\r\n\r\n{{".encode())
    while httpx.get(f"{server.url}/health/live").status_code != 200:
        pass
    return connection


def test_a_request_that_hangs_is_waited_for_only_so_long(start, tmp_path):
    server = start(tmp_path, SEMANTIC_SERVER_SHUTDOWN_SECONDS="1").wait_ready()
    with hanging_request(server) as connection:
        server.signal(signal.SIGTERM)
        with connection.makefile("rb") as answer:
            assert b"the server is shutting down" in answer.read()
        assert server.wait() == 0
    assert not [line for line in server.logged if "Traceback" in line]


def test_one_that_is_refused_and_hangs_does_not_hold_it_up_either(start, tmp_path):
    server = start(tmp_path, SEMANTIC_SERVER_SHUTDOWN_SECONDS="1").wait_ready()
    with hanging_request(server, "elsewhere.example") as connection:
        server.signal(signal.SIGTERM)
        with connection.makefile("rb") as answer:
            assert b"elsewhere.example" in answer.read()
        assert server.wait() == 0
    assert not [line for line in server.logged if "Traceback" in line]


def test_a_second_signal_ends_it_at_once(start, tmp_path):
    server = start(tmp_path, SEMANTIC_SERVER_SHUTDOWN_SECONDS="100").wait_ready()
    with hanging_request(server):
        server.signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1)
        server.signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM


def test_two_servers_do_not_share_a_data_directory(start, tmp_path):
    server = start(tmp_path).wait_ready()
    second = start(tmp_path)
    assert second.wait() == 2
    assert second.printed == []
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert "in use by another server" in second.logged[0]


def test_an_answer_that_goes_on_is_ended_with_a_word(start, tmp_path):
    server = start(tmp_path, SEMANTIC_SERVER_SHUTDOWN_SECONDS="1").wait_ready()
    # Greedily, random weights soon repeat themselves for ever.
    asked = {
        "messages": [{"role": "user", "content": "Go on."}],
        "stream": True,
        "max_tokens": 30_000,
        "temperature": 0,
    }
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=asked, timeout=60) as answer:
        events = answer.iter_lines()
        next(events)
        server.signal(signal.SIGTERM)
        assert any("the server is shutting down" in event for event in events)
    assert server.wait() == 0
    assert not [line for line in server.logged if "Traceback" in line]


def test_another_database_serves_as_well(start, tmp_path, conninfo):
    with psycopg.connect(conninfo, autocommit=True) as database:
        database.execute("CREATE DATABASE elsewhere")
    where = conninfo_to_dict(conninfo)
    url = f"postgresql://{where['user']}@/elsewhere?host={quote(where['host'])}&port={where['port']}"
    server = start(tmp_path, DATABASE_URL=url, DB_MIN_POOL_SIZE="1", DB_MAX_POOL_SIZE="2").wait_ready()
    assert "the PostgreSQL of DATABASE_URL" in "\n".join(server.printed)
    answer = httpx.post(f"{server.url}/v1/memories", json=ADA | {"content": "Ada lives in Lisbon."})
    assert answer.status_code == 201
    assert not (tmp_path / "postgres").exists()
