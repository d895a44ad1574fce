"""The way to a database: a pool that heals.

Works the same for the embedded server and for any other PostgreSQL 15 or later with pgvector 0.8.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import LiteralString, TypeVar

import psycopg
import structlog
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_before_delay,
    wait_exponential,
)

from agent_memory.adapters.postgres import failures, versions, write_counts
from agent_memory.adapters.postgres.failures import LASTING, ONLY_READS, PASSING, ROLLED_BACK, SHORT, first_line
from agent_memory.adapters.postgres.migrations import migrate
from agent_memory.adapters.postgres.write_counts import WriteCounts
from agent_memory.domain.errors import FORKED, Misconfigured, Unavailable
from agent_memory.domain.semantic.memory import Scope

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)
# libpq gives a refused connection no code, only words: these no patience will cure.
_REFUSALS = ("does not exist", "authentication failed", "pg_hba.conf")
_NEEDED = (
    "the database needs the extension vector, and a schema agent_memory that belongs to {0} or that {0} may make "
    "(GRANT CREATE ON DATABASE)"
)
_WRITER = "DATABASE_URL: the server there only reads (a standby?), and memories need one that takes writes"
_PATIENCE_AT_START = 30.0  # seconds: the server may be starting beside us
_PATIENCE = 10.0  # seconds that a request waits for a database that is restarting
_RECONNECTING = 2.0  # seconds of attempts that come further and further apart, before they begin anew
_NAME = "agent_memory"
_HOME: LiteralString = "SELECT setting FROM pg_settings WHERE name = 'data_directory'"  # told to its owner only
_CONNECTIONS: LiteralString = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
_CONNECTING = 5  # seconds that one attempt may take, unless the address says otherwise


class Database:
    """A pool of connections in which each piece of work commits by itself."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection], counts: WriteCounts | None = None) -> None:
        self._pool = pool
        self._counts = counts
        self._process = os.getpid()

    async def run(
        self, work: Callable[[AsyncConnection], Awaitable[Result]], *, writes: Iterable[Scope] | None = None
    ) -> Result:
        """Do the work on a connection; do it again if the connection is lost, or it is rolled back for others: it must
        bear repeating. `writes` are the scopes whose memories it may change; None: any.
        """
        with self.writing(writes):
            return await self._tried(work)

    def writing(self, scopes: Iterable[Scope] | None) -> AbstractContextManager[None]:
        """While memories of these are written; None: of any. `run` does it with those that are known beforehand."""
        return self._counts.writing(scopes) if self._counts else nullcontext()

    async def read(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """`run` what changes no memory."""
        return await self._tried(work)

    def state(self, scope: Scope) -> bytes | None:
        """Another one after each change of a memory in the scope; None while one may be under way, and for a database
        where nobody counts them.
        """
        self._check_ours()
        return self._counts.state(scope) if self._counts else None

    async def _tried(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        self._check_ours()
        deadline = time.monotonic() + _PATIENCE
        try:
            try:
                return await self._do(work, deadline)
            except LASTING:
                raise
            except PASSING as error:
                return await self._do_again(work, deadline, error)
        except failures.KNOWN as error:
            raise failures.meant(error) from error

    async def _do(self, work: Callable[[AsyncConnection], Awaitable[Result]], deadline: float) -> Result:
        async with self._pool.connection(deadline - time.monotonic()) as connection:
            try:
                return await work(connection)
            except ONLY_READS:
                await connection.close()  # behind the same name may be another server by now, which takes writes
                raise

    async def _do_again(
        self, work: Callable[[AsyncConnection], Awaitable[Result]], deadline: float, lost: BaseException
    ) -> Result:
        """After a first attempt that ended so. tenacity takes longer than a statement takes to send, and nearly always
        there is nothing for it to do.
        """
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(PASSING) & retry_if_not_exception_type(LASTING),
            wait=wait_exponential(multiplier=0.05, max=1),
            stop=stop_before_delay(deadline - time.monotonic()),
            before_sleep=self._heal,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise lost
                return await self._do(work, deadline)
        raise AssertionError("tenacity either returns or raises")

    def _check_ours(self) -> None:
        """In a forked process the connections are still its parent's, and their answers too."""
        if self._process != os.getpid():
            raise Unavailable(FORKED)

    def pop_stats(self) -> Mapping[str, int]:
        """The pool's figures: what is now, and what was counted since the last time."""
        return self._pool.pop_stats()

    async def _heal(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ROLLED_BACK):
            _log.warning("transaction rolled back", error=first_line(error), attempt=state.attempt_number)
            return
        _log.warning("database connection lost", error=first_line(error), attempt=state.attempt_number)
        # One restart breaks every idle connection: drop them all, not one with each attempt.
        await self._pool.check()


class _Outage:
    """Says once that the database is away, and once that it is back; and goes on trying."""

    def __init__(self) -> None:
        self._since: float | None = None

    async def goes_on(self, pool: AsyncConnectionPool[AsyncConnection]) -> None:
        """Left to itself the pool tries ever more seldom, and at last no more until somebody asks."""
        if self._since is None:
            self._since = time.monotonic()
            _log.warning("the database is away")
        stats = pool.get_stats()
        if stats["pool_size"] < pool.min_size or stats["requests_waiting"]:
            await pool.check()  # which also adds a connection, if it may

    def ends(self) -> None:
        if self._since is not None:
            _log.warning("the database is back", seconds=round(time.monotonic() - self._since, 1))
            self._since = None


@asynccontextmanager
async def opened(
    conninfo: str, min_size: int = 5, max_size: int = 20, command_timeout: float = 10.0
) -> AsyncIterator[Database]:
    """A migrated database for as long as the context lasts. No statement may take longer than the timeout."""
    home = await _prepare(conninfo)
    with write_counts.joined(home) as counts:
        if counts is not None:
            await _take_over(conninfo, counts)
        async with _pool(conninfo, min_size, max_size, command_timeout, counts.name if counts else _NAME) as pool:
            yield Database(pool, counts)


async def _take_over(conninfo: str, counts: WriteCounts) -> None:
    """What the former writer of this number had begun has ended, if its connections have."""
    with suppress(psycopg.Error):  # then nobody knows, and the scopes of what may go on are asked for
        async with await AsyncConnection.connect(conninfo, autocommit=True, connect_timeout=_CONNECTING) as connection:
            [[left]] = await (await connection.execute(_CONNECTIONS, [counts.name])).fetchall()
            if not left:
                counts.settle()


def _pool(
    conninfo: str, min_size: int, max_size: int, command_timeout: float, name: str
) -> AsyncConnectionPool[AsyncConnection]:
    outage = _Outage()

    async def configure(connection: AsyncConnection) -> None:
        await _configure(command_timeout, connection)
        outage.ends()

    return AsyncConnectionPool(
        conninfo,
        min_size=min_size,
        max_size=max_size,
        open=False,
        configure=configure,
        reconnect_timeout=_RECONNECTING,
        reconnect_failed=outage.goes_on,
        kwargs={
            "autocommit": True,
            "application_name": name,
            "connect_timeout": conninfo_to_dict(conninfo).get("connect_timeout", _CONNECTING),
        },
    )


async def _prepare(conninfo: str) -> Path | None:
    """Answers the home of the database, if it tells."""
    deadline = time.monotonic() + _PATIENCE_AT_START
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(psycopg.OperationalError) & retry_if_not_exception_type(SHORT),
        wait=wait_exponential(multiplier=0.1, max=2),
        stop=stop_before_delay(_PATIENCE_AT_START),
        before_sleep=_tell_of_waiting,
        reraise=True,
    )
    try:
        async for attempt in attempts:
            with attempt:
                return await _connect_and_migrate(conninfo, deadline)
    except psycopg.ProgrammingError as error:
        raise Misconfigured(f"DATABASE_URL cannot be used: {first_line(error)}") from error
    except SHORT as error:
        raise failures.short(error) from error
    except psycopg.OperationalError as error:
        raise failures.away(error) from error
    raise AssertionError("tenacity either returns or raises")


def _tell_of_waiting(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        error = state.outcome.exception() if state.outcome else None
        _log.warning("waiting for the database", seconds=_PATIENCE_AT_START, error=first_line(error))


async def _connect_and_migrate(conninfo: str, deadline: float) -> Path | None:
    seconds = max(2, round(min(deadline - time.monotonic(), 10)))  # to libpq, 0 is for ever
    try:
        connection = await AsyncConnection.connect(conninfo, autocommit=True, connect_timeout=seconds)
    except psycopg.OperationalError as error:
        if any(refusal in str(error) for refusal in _REFUSALS):
            raise Misconfigured(f"the database refuses us: {first_line(error)}") from error
        raise
    async with connection:
        await versions.require(connection)
        try:
            await migrate(connection)
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
            raise Misconfigured(f"the database needs pgvector 0.8 or later: {first_line(error)}") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise Misconfigured(f"{first_line(error)}: {_NEEDED.format(connection.info.user)}") from error
        except ONLY_READS as error:
            raise Misconfigured(f"{_WRITER}: {first_line(error)}") from error
        rows = await (await connection.execute(_HOME)).fetchall()
        return Path(rows[0][0]).parent if rows else None


async def _configure(command_timeout: float, connection: AsyncConnection) -> None:
    await connection.execute(f"SET statement_timeout = {command_timeout * 1000:.0f}")
    # A generic plan would take the same index for a scope of ten memories and for one of a million.
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    await connection.execute("SET timezone = 'UTC'")
    # Under a filter the vector index looks on until it has enough.
    await connection.execute("SET hnsw.iterative_scan = relaxed_order")
    # All that it may hold at once: of many scopes in one index, the nearest of one are far apart.
    await connection.execute("SET hnsw.ef_search = 1000")
    # ... or until it is slower than comparing all that pass.
    await connection.execute("SET hnsw.max_scan_tuples = 6000")
    await connection.execute("SET ivfflat.iterative_scan = relaxed_order")
    await connection.execute("SET ivfflat.probes = 10")
    await register_vector_async(connection)
    set_json_loads(document, connection)


def document(text: str | bytes) -> object:
    # Most memories carry no metadata, and a search brings many.
    return {} if text in (b"{}", "{}") else json.loads(text)
