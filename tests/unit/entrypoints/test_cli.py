"""Options become settings; what is wrong becomes one line and exit code 2, before anything is opened."""

import pytest
from typer.testing import CliRunner

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.bootstrap import bootstrap
from agent_memory.entrypoints import cli, serving
from agent_memory.settings import ModelSettings, Settings


@pytest.fixture
def served(monkeypatch):
    """What would have been served."""
    seen = []
    monkeypatch.setattr(serving, "serve", lambda settings, announce: seen.append(settings))
    return seen


def run(*arguments, **environ):
    return CliRunner().invoke(cli.cli, arguments, env=environ)


def test_options_win_over_the_environment(served):
    told = run("serve", "--port", "9000", "--log-level", "debug", "--model", "a/b", SEMANTIC_SERVER_PORT="1")
    assert told.exit_code == 0
    [settings] = served
    assert (settings.server.port, settings.server.log_level, settings.model.id) == (9000, "DEBUG", "a/b")


def test_a_settings_file_can_be_named(served, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nport = 9001\n")
    run("serve", "--settings", str(file))
    assert served[0].server.port == 9001


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "70000"], "agent-memory: --port=70000: expected int <= 65535\n"),
        (["--log-level", "loud"], "agent-memory: --log-level=loud: must be one of DEBUG, INFO, WARNING, ERROR\n"),
        (["--settings", "/no/such"], "agent-memory: settings file /no/such: cannot be read: "),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(served, arguments, told):
    answer = run("serve", *arguments)
    assert answer.exit_code == 2
    assert answer.stderr.startswith(told)
    assert answer.stderr.count("\n") == 1
    assert served == []


def test_the_version_is_told():
    assert run("version").stdout.strip().count(".") == 2


async def test_the_announcement_names_every_part_and_something_to_try(capsys):
    settings = Settings(model=ModelSettings(id="maker/model"))
    parts = {"memory_store": InMemoryMemoryStore(), "embedder": HashingEmbedder(), "conversation": None}
    async with bootstrap(settings, **parts) as application:
        application.runs_on["database"] = "a dictionary"
        cli.announce(application, "http://127.0.0.1:8000")
    told = capsys.readouterr().out
    assert "ready at http://127.0.0.1:8000" in told
    assert "database  a dictionary" in told
    assert "curl http://127.0.0.1:8000/v1/memories -d" in told
