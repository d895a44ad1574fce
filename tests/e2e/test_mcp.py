"""`agent-memory mcp` and /mcp of the real server, by the SDK's own client, in both eras of the protocol."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp_clients import ERAS, User, done

pytestmark = pytest.mark.integration

README = (Path(__file__).parents[2] / "README.md").read_text()
SHOWN = "http://127.0.0.1:8000"
WHO = {"agent_id": "guide", "user_id": "ada"}
PATIENCE = 60


@pytest.fixture(params=ERAS)
def era(request):
    return ERAS[request.param]


@pytest.fixture
def folder(tmp_path, models_dir):
    (tmp_path / "models").symlink_to(models_dir)
    return tmp_path


@asynccontextmanager
async def on_stdio(folder, *options, era="auto", user=None):
    """A client with a process of its own."""
    arguments = ["-m", "agent_memory.entrypoints.cli", "mcp", "--data-dir", str(folder), *options]
    async with Client(started(arguments), mode=era, elicitation_callback=user) as client:
        yield client


def started(arguments):
    return StdioServerParameters(command=sys.executable, args=arguments, env=clean())


def clean():
    return {k: v for k, v in os.environ.items() if not k.startswith(("SEMANTIC_", "AGENT_MEMORY_", "DATABASE_"))}


async def test_the_server_speaks_it_beside_everything_else(server, era):
    user = User(agree=True)
    async with Client(f"{server.url}/mcp/e2e-{era}/ada", mode=era, elicitation_callback=user) as client:
        await done(client, "store_memory", content="Ada moved to Lisbon.")
        await done(client, "store_memory", content="Ada plays the cello.")
        found = await done(client, "search_memories", query="Which instrument does she play?", top_k=1)
        assert [each["content"] for each in found["results"]] == ["Ada plays the cello."]
        assert (await client.read_resource("memory://recent")).contents[0].text.count("\n") == 1
        assert (await done(client, "delete_memory", where={}))["deleted"] == 2
    assert len(user.asked) == 1


async def test_stdio_remembers_from_one_process_to_the_next(folder, era):
    user = User(agree=True)
    async with on_stdio(folder, era=era) as client:
        await done(client, "store_memory", **WHO, content="Ada plays the cello.")
    async with on_stdio(folder, "--agent", "guide", "--user", "ada", era=era, user=user) as client:
        found = await done(client, "search_memories", query="Which instrument does she play?")
        assert [each["content"] for each in found["results"]] == ["Ada plays the cello."]
        assert (await done(client, "delete_memory", where={}))["deleted"] == 1
    assert len(user.asked) == 1


async def test_several_processes_share_one_folder(folder):
    """Whoever came first has the database; when it ends, another takes its place, and nothing is lost."""
    leave = asyncio.Event()
    entered = asyncio.Event()

    async def first():
        async with on_stdio(folder) as client:
            await done(client, "store_memory", **WHO, content="from the first")
            entered.set()
            await leave.wait()

    leaving = asyncio.create_task(first())
    await entered.wait()
    async with on_stdio(folder) as second:
        assert (await done(second, "count_memories", **WHO))["count"] == 1
        leave.set()
        await leaving
        await done(second, "store_memory", **WHO, content="from the one that stays")
        assert (await done(second, "count_memories", **WHO))["count"] == 2


async def test_a_server_starts_beside_a_client_that_was_there_first(folder, start):
    async with on_stdio(folder) as client:
        await done(client, "store_memory", **WHO, content="from the client")
        server = start(folder, "--no-model").wait_ready()
        async with Client(f"{server.url}/mcp") as other:
            assert (await done(other, "count_memories", **WHO))["count"] == 1
    async with Client(f"{server.url}/mcp") as other:
        assert (await done(other, "count_memories", **WHO))["count"] == 1


def test_the_command_serves_http_as_well(folder, era):
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_memory.entrypoints.cli", "mcp", "--transport", "http", "--port", "0",
         "--data-dir", str(folder)],
        env=clean(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        told = process.stdout.readline()
        url = next(word.rstrip(",") for word in told.split() if word.startswith("http://"))

        async def talk():
            async with Client(url, mode=era) as client:
                await done(client, "store_memory", **WHO, content="Ada plays the cello.")
                return (await done(client, "count_memories", **WHO))["count"]

        assert asyncio.run(talk()) == 1
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["signal", "end of input"])
def test_stdio_ends_in_order_and_says_nothing_but_messages(folder, how):
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_memory.entrypoints.cli", "mcp", "--data-dir", str(folder)],
        env=clean(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        process.stdin.write('{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.flush()
        assert process.stdout.readline().startswith('{"jsonrpc":"2.0","id":1')
        if how == "signal":
            process.terminate()
            process.wait(PATIENCE)  # its input is still open
        said, logged = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, logged
        assert said == ""
        assert "Traceback" not in logged
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--transport", "http", "--agent", "guide"],
            "--agent=guide: cannot be given with --transport http; over HTTP",
        ),
        (["--port", "9000"], "--port=9000: cannot be given with --transport stdio"),
        (["--agent", "x" * 129], "agent_id: must have 1 to 128 characters"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_opened(folder, arguments, told):
    done = subprocess.run(
        [sys.executable, "-m", "agent_memory.entrypoints.cli", "mcp", "--data-dir", str(folder), *arguments],
        env=clean(), capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"agent-memory: {told}")


def shown(language, holding):
    [block] = [
        block
        for block in re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
        if holding in block
    ]
    return block


def commands_shown():
    """What the README has clients start, as the arguments of `agent-memory`."""
    [desktop] = json.loads(shown("jsonc", "mcpServers"))["mcpServers"].values()
    assert Path(desktop["command"]).name == "agent-memory"
    [code] = [line for line in shown("sh", "claude mcp add").splitlines() if " -- " in line]
    command, *arguments = shlex.split(code.partition(" -- ")[2])
    assert command == "agent-memory"
    return [desktop["args"], arguments]


@pytest.mark.parametrize("arguments", commands_shown(), ids=["claude-desktop", "claude-code"])
async def test_what_the_readme_has_clients_start(folder, era, arguments):
    command, *options = arguments
    assert command == "mcp"
    async with on_stdio(folder, *options, era=era) as client:
        await done(client, "store_memory", content="Ada plays the cello.")
        assert (await done(client, "count_memories"))["count"] == 1


async def test_what_the_readme_has_clients_ask(server, era):
    [line] = [line for line in shown("sh", "claude mcp add").splitlines() if "--transport http" in line]
    url = shlex.split(line)[-1]
    assert url.startswith(SHOWN)
    async with Client(url.replace(SHOWN, server.url), mode=era) as client:
        await done(client, "store_memory", content="Ada plays the cello.")
        assert (await done(client, "count_memories"))["count"] >= 1


def test_the_readmes_python_client(server):
    program = shown("python", "from mcp import Client").replace(SHOWN, server.url)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=clean())
    assert ran.stdout == "Ada plays the cello.\n"
