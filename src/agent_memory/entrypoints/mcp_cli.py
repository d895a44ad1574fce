"""`agent-memory mcp`: memories as an MCP server, over HTTP or over standard input and output, without a language model.

Over standard input and output the caller is whoever started the process: there are no keys and no limits, and the log
goes to the error stream. The embedded database may be one that a server, or another process like this, runs already.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from mcp.server.stdio import stdio_server

from agent_memory.bootstrap import Application, bootstrap
from agent_memory.domain.errors import AgentMemoryError, Misconfigured
from agent_memory.entrypoints.logs import configure_logs
from agent_memory.entrypoints.mcp.scope import PATH, Whose
from agent_memory.entrypoints.mcp.server import create_server
from agent_memory.entrypoints.serving import serve
from agent_memory.entrypoints.telling import complaints
from agent_memory.settings import Settings, load_settings

_POOL = 4  # connections: one client asks little at a time


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"


def mcp(
    *,
    transport: Annotated[Transport, typer.Option(help="How the client reaches it")] = Transport.STDIO,
    host: Annotated[str | None, typer.Option(help="With http: address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="With http: port to listen on [8001]")] = None,
    agent: Annotated[str | None, typer.Option(help="With stdio: whose memory it is, so that no call says")] = None,
    user: Annotated[str | None, typer.Option(help="With stdio: whom it is about, so that no call says")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where everything is kept [~/.agent_memory]")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR [INFO]")] = None,
    settings: Annotated[Path | None, typer.Option(help="A settings file (TOML)")] = None,
) -> None:
    """Serve memories by the Model Context Protocol, to Claude and other clients. No language model is loaded."""
    with complaints():
        _refuse_misplaced(transport, {"--host": host, "--port": port}, {"--agent": agent, "--user": user})
        given = {
            "server.host": ("--host", host),
            "server.port": ("--port", 8001 if port is None else port),
            "server.workers": ("--transport", 1),
            "model.enabled": ("--transport", False),
            "data_dir": ("--data-dir", data_dir),
            "server.log_level": ("--log-level", log_level),
        }
        options = {key: (option, value) for key, (option, value) in given.items() if value is not None}
        loaded = load_settings(os.environ, options, settings)
        configure_logs(loaded.server.log_level)
        if transport is Transport.HTTP:
            serve(loaded, _announce, beside=True)
        else:
            whose = Whose(agent_id=agent, user_id=user)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve_stdio(loaded, whose))


def _refuse_misplaced(
    transport: Transport, of_http: dict[str, object | None], of_stdio: dict[str, object | None]
) -> None:
    misplaced = of_stdio if transport is Transport.HTTP else of_http
    for option, value in misplaced.items():
        if value is not None:
            where = f"; over HTTP the address says it: {PATH}/AGENT/USER" if transport is Transport.HTTP else ""
            raise Misconfigured(f"{option}={value}: cannot be given with --transport {transport}{where}")


def _announce(application: Application, url: str) -> None:
    del application
    typer.echo(f"agent_memory speaks MCP at {url}{PATH}, or for one agent and user at {url}{PATH}/AGENT/USER")


async def _serve_stdio(settings: Settings, whose: Whose) -> None:
    """Until the client closes our input, or a signal ends us; a second signal ends us at once."""
    database = msgspec.structs.replace(settings.database, min_pool_size=1, max_pool_size=_POOL)
    settings = msgspec.structs.replace(settings, database=database)
    # The streams are taken before anything is opened: nothing of ours can write into the client's from here on.
    async with stdio_server() as (reading, writing):

        async def serve_in(application: Application) -> None:
            server = create_server(application, lambda _: whose)
            await server.run(reading, writing, server.create_initialization_options())

        code = await _served(settings, serve_in)
        if code is not None:
            # A thread of the SDK still waits for the client's next line, and would for as long as the client lives.
            os._exit(code)


async def _served(settings: Settings, serve_in: Callable[[Application], Awaitable[None]]) -> int | None:
    """Everything is closed again when it returns: an exit code where it was not the client that ended us."""
    with _signals() as asked:
        try:
            async with bootstrap(settings, sharing=True) as application:
                await serve_in(application)
        except asyncio.CancelledError:
            if not asked.is_set():
                raise
            return 0
        except AgentMemoryError as error:
            typer.echo(f"agent-memory: {error}", err=True)
            return 2
    return None


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """The first cancels this task, and says so."""
    loop, task, asked = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task is not None

    def on_signal(number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield asked
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
