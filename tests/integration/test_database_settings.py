"""What an operator sets about the database is what the connections do."""

import pytest

from agent_memory.adapters.postgres import connection
from agent_memory.domain.errors import Unavailable

pytestmark = pytest.mark.integration


async def test_no_statement_takes_longer_than_the_timeout(conninfo, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE", 1.0)
    async with connection.opened(conninfo, 1, 2, command_timeout=0.05) as database:
        with pytest.raises(Unavailable, match="statement timeout"):
            await database.run(lambda c: c.execute("SELECT pg_sleep(10)"))
