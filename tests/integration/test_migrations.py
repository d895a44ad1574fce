import asyncio

import psycopg
import pytest

from agent_memory.adapters.postgres import connection
from agent_memory.domain.errors import Misconfigured, Unavailable

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(conninfo, request):
    """A database of its own, empty."""
    name = f"empty_{abs(hash(request.node.name))}"
    with psycopg.connect(conninfo, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return conninfo.replace("dbname=postgres", f"dbname={name}")


def versions(conninfo) -> list[int]:
    with psycopg.connect(conninfo) as database:
        rows = database.execute("SELECT version FROM agent_memory.schema_versions ORDER BY version").fetchall()
    return [version for (version,) in rows]


async def test_eight_workers_may_start_at_once_on_an_empty_database(empty):
    async def worker() -> None:
        async with connection.opened(empty, 1, 1):
            pass

    await asyncio.gather(*(worker() for _ in range(8)))
    assert versions(empty) == sorted(set(versions(empty)))
    assert versions(empty)[0] == 1


async def test_opening_again_changes_nothing(empty):
    async with connection.opened(empty, 1, 1):
        before = versions(empty)
    async with connection.opened(empty, 1, 1):
        assert versions(empty) == before


async def test_an_absent_database_is_misconfigured(conninfo):
    with pytest.raises(Misconfigured, match="nowhere"):
        async with connection.opened(conninfo.replace("dbname=postgres", "dbname=nowhere"), 1, 1):
            pass


async def test_nonsense_for_a_database_is_misconfigured():
    with pytest.raises(Misconfigured):
        async with connection.opened("no such thing", 1, 1):
            pass


async def test_a_database_that_is_not_there_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE_AT_START", 0.2)
    with pytest.raises(Unavailable, match="does not answer"):
        async with connection.opened(f"host={tmp_path} dbname=postgres user=x", 1, 1):
            pass
