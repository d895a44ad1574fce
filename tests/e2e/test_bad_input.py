"""Whatever is wrong gets one clear message: from a server that stays up, or from one that never listened."""

import os
import socket

import httpx
import pytest

pytestmark = pytest.mark.integration

MEMORY = {"agent_id": "guide", "user_id": "ada", "content": "x"}


def refusal(start, data_dir, *options, **environ):
    """The one line with which the server refuses to start."""
    server = start(data_dir, *options, **environ)
    assert server.wait() == 2
    assert server.printed == []
    [line] = server.logged
    assert line.startswith("agent-memory: ")
    return line


def test_a_port_in_use(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refusal(start, tmp_path, "--port", str(port))
    assert told == f"agent-memory: cannot listen on 127.0.0.1:{port}: Address already in use"
    assert not (tmp_path / "postgres").exists()


def test_a_missing_model_folder(start, tmp_path):
    told = refusal(start, tmp_path, "--model", "/no/such/model")
    assert told.startswith("agent-memory: no model folder at /no/such/model")


def test_a_data_directory_that_cannot_be_made(start, tmp_path):
    (tmp_path / "file").write_text("")
    told = refusal(start, tmp_path / "file" / "data")
    assert "cannot write there: Not a directory" in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written(start, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot write there: Permission denied" in refusal(start, tmp_path)


def test_a_bad_option(start, tmp_path):
    assert "--port=70000: expected int" in refusal(start, tmp_path, "--port", "70000")


def test_a_bad_variable(start, tmp_path):
    assert "SEMANTIC_MLX_KV_BITS=3: must be one of 4, 8, 16" in refusal(start, tmp_path, SEMANTIC_MLX_KV_BITS="3")


def test_a_variable_nobody_knows(start, tmp_path):
    assert "unknown setting SEMANTIC_PORT" in refusal(start, tmp_path, SEMANTIC_PORT="1")


def test_an_address_that_is_not_ours(start, tmp_path):
    assert "cannot listen on 192.0.2.1:0" in refusal(start, tmp_path, "--host", "192.0.2.1")


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/v1/memories", b"{", 400, "the body is not valid JSON"),
        ("/v1/memories", b"x" * 10_000_000, 413, "the body may have at most 4000000 bytes"),
        ("/v1/memories", MEMORY | {"memory_type": "vague"}, 422, "memory_type: invalid enum value 'vague'"),
        ("/v1/memories", MEMORY | {"content": "\0"}, 422, "content: has a NUL character"),
        ("/v1/chat/completions", b"{", 400, "the body is not valid JSON"),
        ("/v1/chat/completions", b"x" * 10_000_000, 413, "the body may have at most 4000000 bytes"),
        ("/v1/chat/completions", {"messages": [{"role": "wizard", "content": "x"}]}, 400, "messages[0].role: "),
    ],
)
def test_a_bad_request(server, path, body, status, told):
    kind = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = httpx.post(server.url + path, **kind)
    assert answer.status_code == status
    assert told in answer.text
    assert httpx.get(f"{server.url}/health").status_code == 200
