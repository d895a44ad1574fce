"""One server process: a port that is ours before anything is loaded, and signals that end it in order.

The port is bound first, so that a port in use is known at once; it listens last, so that whoever gets through
is answered.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Unpack

import uvicorn
import uvloop
from litestar import Litestar

from agent_memory.bootstrap import Application, Parts, bootstrap
from agent_memory.domain.errors import Misconfigured
from agent_memory.entrypoints import address
from agent_memory.entrypoints.address import new_token
from agent_memory.entrypoints.http.app import create_app
from agent_memory.entrypoints.http.neighbours import hosts_of, is_loopback
from agent_memory.settings import ServerSettings, Settings

_GC_THRESHOLD = 20_000
_CLOSING_SECONDS = 3  # of all that the end may take: for writing blocks and stopping the database


def serve(settings: Settings, announce: Callable[[Application, str], None], *, beside: bool = False) -> None:
    """Until a signal ends it. `announce` is called with the address once the server listens.

    `beside` others: it shares the embedded database with whoever runs it, and leaves the data folder's address alone.
    """
    with bound(settings.server) as sock, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # Whoever else may have the database, but no server, is an MCP client's process: it shares.
        sharing = beside or not address.served(settings.data_folder)
        runner.run(_serve(settings, sock, announce, _Ending.watching_signals, beside=beside, sharing=sharing))


def serve_as_worker(
    settings: Settings,
    conninfo: str | None,
    token: str,
    sock: socket.socket,
    announce: Callable[[Application, str], None],
) -> None:
    """Until the standard input closes; on a socket and with a database that others serve from as well."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, sock, announce, _Ending.watching_input, token=token, conninfo=conninfo))


def settle_collector() -> None:
    """For a process that searches from now on. A search makes thousands of objects: with Python's threshold of 700 the
    collector looked several times, and for 50 ms at all that is imported every hundredth search. What is there already
    stays, and is looked at no more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


@contextmanager
def bound(server: ServerSettings) -> Iterator[socket.socket]:
    """A socket on the host and port, not listening yet."""
    where = f"{server.host}:{server.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            server.host, server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise Misconfigured(f"host {server.host}: {error.strerror}") from None
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            raise Misconfigured(f"cannot listen on {where}: {os.strerror(error.errno or 0)}") from None
        yield sock


async def _serve(
    settings: Settings,
    sock: socket.socket,
    announce: Callable[[Application, str], None],
    watching: "Callable[[_Ending], AbstractContextManager[None]]",
    *,
    token: str | None = None,
    beside: bool = False,
    **parts: Unpack[Parts],
) -> None:
    ending, token = _Ending(), token or new_token()
    with watching(ending):
        try:
            async with bootstrap(settings, **parts) as application:
                await _refuse_strangers(application)
                app = create_app(application, hosts_of(settings.server), token)
                with nullcontext() if beside else address.left_in(settings.data_folder, _url(sock), token):
                    await ending.run(Server(app, settings.server, lambda: announce(application, _url(sock))), sock)
        except asyncio.CancelledError:
            if not ending.asked:
                raise


async def _refuse_strangers(application: Application) -> None:
    """Raises Misconfigured where whoever reaches the address would reach everything."""
    server = application.settings.server
    if is_loopback(server.host) or server.allow_unauthenticated or await application.keys.needed():
        return
    raise Misconfigured(
        f"refusing to listen on {server.host} while there are no API keys: whoever reaches it could read and change "
        f"everything. Make one with `agent-memory keys create --data-dir {application.settings.data_folder}`, or say "
        "--allow-unauthenticated (SEMANTIC_SERVER_ALLOW_UNAUTHENTICATED=true)"
    )


class Server(uvicorn.Server):
    def __init__(self, app: Litestar, server: ServerSettings, on_listening: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=max(1, server.shutdown_seconds - _CLOSING_SECONDS),
        )
        super().__init__(config)
        self._on_listening = on_listening
        self._ending: asyncio.Event = app.state.ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except OSError as error:
            raise Misconfigured(f"cannot listen: {error.strerror}") from None
        settle_collector()
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are `_Ending`'s, from before the model is loaded until after the database is closed."""
        yield


class _Ending:
    """The first signal ends the server in order, whatever it is doing; the second ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._server: Server | None = None

    @contextmanager
    def watching_signals(self) -> Iterator[None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def on_signal(number: int, frame: FrameType | None) -> None:
            del frame
            if self.asked:
                os._exit(128 + number)
            self.asked = True
            loop.call_soon_threadsafe(self._end, task)

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def watching_input(self) -> Iterator[None]:
        """A worker ends when its standard input closes; signals are for the process that started it."""
        loop, task, orders = asyncio.get_running_loop(), asyncio.current_task(), sys.stdin.fileno()
        assert task is not None

        def on_closed() -> None:
            loop.remove_reader(orders)
            self.asked = True
            self._end(task)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        loop.add_reader(orders, on_closed)
        try:
            yield
        finally:
            loop.remove_reader(orders)

    async def run(self, server: Server, sock: socket.socket) -> None:
        self._server = server
        await server.serve(sockets=[sock])

    def _end(self, task: "asyncio.Task[object]") -> None:
        if self._server is None:
            task.cancel()
        else:
            self._server.should_exit = True


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if sock.family is socket.AF_INET6 else f"http://{host}:{port}"
