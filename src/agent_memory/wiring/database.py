"""The database that the settings ask for: embedded in the data folder, or somebody's own."""

import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.errors import Misconfigured
from agent_memory.settings import Settings


async def open_database(
    stack: AsyncExitStack,
    settings: Settings,
    runs_on: dict[str, str],
    *,
    shared: str | None = None,
    sharing: bool = False,
) -> Database:
    """`shared` is where another process has opened it; with `sharing`, any process of this user may have."""
    database = settings.database
    if shared is not None:
        conninfo = shared
        runs_on["database"] = "embedded PostgreSQL with pgvector"
        runs_on["workers"] = f"{settings.server.workers} processes"
    elif database.url is None:
        running = embedded.shared if sharing else embedded.running
        conninfo = await stack.enter_async_context(running(settings.data_folder, database.max_pool_size))
        runs_on["database"] = "embedded PostgreSQL with pgvector"
    else:
        conninfo = database.url
        runs_on["database"] = "the PostgreSQL of DATABASE_URL"
    least, most, timeout = database.min_pool_size, database.max_pool_size, database.command_timeout
    opening = connection.opened(conninfo, least, most, timeout)
    return await stack.enter_async_context(opening)


@contextmanager
def shared_database(settings: Settings) -> Iterator[str | None]:
    """The embedded database for several processes, each of which hands this to its `bootstrap`; None where there is
    DATABASE_URL.
    """
    claim(settings.data_folder)
    if settings.database.url is not None:
        yield None
        return
    connections = settings.server.workers * settings.database.max_pool_size
    server = embedded.server_in(settings.data_folder, connections)
    try:
        yield server.start()
    finally:
        server.stop()


def claim(folder: Path) -> None:
    """Make sure that the data folder is there, and that we can write to it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Misconfigured(f"data directory {folder}: cannot write there: {error.strerror}") from None
