"""MCP over standard input and output: the caller is whoever started the process.

There are no keys and no limits, and the log goes to the error stream. The embedded database may be one that a server,
or another process like this, runs already.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import msgspec
import typer
import uvloop
from mcp.server.stdio import stdio_server

from agent_memory.bootstrap import Application, bootstrap
from agent_memory.domain.errors import AgentMemoryError
from agent_memory.entrypoints.mcp.scope import Whose
from agent_memory.entrypoints.mcp.server import create_server
from agent_memory.settings import Settings

_POOL = 4  # connections: one client asks little at a time


def serve_stdio(settings: Settings, agent_id: str | None, user_id: str | None) -> None:
    """Until the client closes our input, or a signal ends us. Raises InvalidInput for a name that is none."""
    whose = Whose(agent_id=agent_id, user_id=user_id)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, whose))


async def _serve(settings: Settings, whose: Whose) -> None:
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
