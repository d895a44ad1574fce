"""Several processes that serve memories on one port: all of them on one database, none missed when it dies."""

import contextlib
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import psutil
import pytest

pytestmark = pytest.mark.integration

ADA = {"agent_id": "guide", "user_id": "ada"}


def workers_of(server):
    found = []
    for process in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "agent_memory.entrypoints.worker" in process.cmdline():
                found.append(process)
    return found


def runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def remembered(server, number):
    """Something new, whatever the number: what is known already would not be added."""
    content = f"Fact number {number}: {uuid4()}"
    return httpx.post(f"{server.url}/v1/memories", json=ADA | {"content": content}, timeout=60).status_code == 201


def counted(server):
    return httpx.get(f"{server.url}/v1/memories/count", params=ADA).json()["count"]


def metric(server, name):
    return sum(
        float(each)
        for each in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", httpx.get(f"{server.url}/metrics").text, re.MULTILINE)
    )


@pytest.fixture(scope="module")
def crew(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return start(folder, "--no-model", "--workers", "3", RATE_LIMIT_WRITES_PER_MINUTE="0").wait_ready()


def test_it_says_how_many_serve(crew):
    printed = "\n".join(crew.printed)
    assert "3 processes" in printed
    assert printed.count("ready at") == 1
    assert len(workers_of(crew)) == 3


def test_all_of_them_serve_one_database(crew):
    before = counted(crew)
    with ThreadPoolExecutor(8) as clients:
        assert all(clients.map(lambda number: remembered(crew, number), range(40)))
    assert counted(crew) == before + 40


def test_what_many_tell_them_at_once_is_kept_once(crew):
    body = ADA | {"content": f"Ada likes tea, {uuid4()}", "on_near_duplicate": "reinforce"}
    keys = [str(uuid4()) for _ in range(12)] * 2

    def told(key):
        return httpx.post(f"{crew.url}/v1/memories", json=body, headers={"Idempotency-Key": key}, timeout=60)

    before = counted(crew)
    with ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(told, keys))
    assert {answer.status_code for answer in answers} <= {200, 201}
    [name] = {answer.json()["id"] for answer in answers}
    assert counted(crew) == before + 1
    etag = httpx.get(f"{crew.url}/v1/memories/{name}", params={"agent_id": ADA["agent_id"]}).headers["ETag"]
    assert etag.startswith('"12-')
    assert [one.json() for one in answers[:12]] == [other.json() for other in answers[12:]]


def test_any_of_them_tells_what_all_have_counted(crew):
    name = "agent_memory_memory_operations_total"
    before = metric(crew, name)
    with ThreadPoolExecutor(8) as clients:
        assert all(clients.map(lambda number: remembered(crew, number), range(30)))
    assert {metric(crew, name) for _ in range(10)} == {before + 30}


def test_a_worker_that_dies_is_replaced_and_nothing_is_forgotten(crew):
    before, victim = counted(crew), workers_of(crew)[0]
    counted_before = metric(crew, "agent_memory_memory_operations_total")
    victim.kill()
    deadline = time.monotonic() + 60
    while len(workers_of(crew)) < 3 or victim in workers_of(crew):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert counted(crew) == before
    assert metric(crew, "agent_memory_memory_operations_total") >= counted_before
    assert remembered(crew, 1)


def test_a_database_that_dies_with_its_keeper_comes_back(crew):
    [keeper] = [
        child
        for child in psutil.Process(crew.process.pid).children()
        if any("keeper.py" in part for part in child.cmdline())
    ]
    before = counted(crew)
    for process in (keeper, *keeper.children()):
        process.kill()
    assert remembered(crew, 0)
    assert counted(crew) == before + 1


def test_a_signal_to_the_whole_group_ends_it_in_order(start, tmp_path):
    server = start(tmp_path, "--no-model", "--workers", "2").wait_ready()
    assert remembered(server, 1)
    for process in [*workers_of(server), psutil.Process(server.process.pid)]:
        process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not [line for line in server.logged if "Traceback" in line]


def test_a_second_signal_ends_all_of_them_at_once(start, tmp_path):
    server = start(tmp_path, "--no-model", "--workers", "2", SEMANTIC_SERVER_SHUTDOWN_SECONDS="100").wait_ready()
    workers = workers_of(server)
    for worker in workers:
        worker.suspend()  # it would not end by itself
    server.signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(1)
    server.signal(signal.SIGTERM)
    assert server.wait() == 128 + signal.SIGTERM
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if runs(worker)]


def test_they_end_when_who_started_them_is_killed(start, tmp_path):
    server = start(tmp_path, "--no-model", "--workers", "2").wait_ready()
    workers = workers_of(server)
    os.kill(server.process.pid, signal.SIGKILL)
    psutil.wait_procs(workers, timeout=30)
    assert not [worker for worker in workers if runs(worker)]
    again = start(tmp_path, "--no-model", "--workers", "2").wait_ready()
    again.signal(signal.SIGTERM)
    assert again.wait() == 0


def test_eight_start_at_once_on_an_empty_database(start, tmp_path):
    server = start(tmp_path, "--no-model", "--workers", "8").wait_ready()
    assert len(workers_of(server)) == 8
    assert all(remembered(server, number) for number in range(16))
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not [line for line in server.logged if "level=error" in line]


def test_what_cannot_work_is_said_once(start, tmp_path):
    (tmp_path / "models").write_text("a file where a folder should be")
    server = start(tmp_path, "--no-model", "--workers", "3")
    assert server.wait() == 2
    assert len([line for line in server.logged if line.startswith("agent-memory:")]) == 1
    assert not [line for line in server.logged if "Traceback" in line]


def test_a_language_model_stays_in_one_process(start, tmp_path):
    server = start(tmp_path, "--workers", "2")
    assert server.wait() == 2
    assert "--no-model" in server.logged[0]
