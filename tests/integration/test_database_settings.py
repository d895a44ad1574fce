"""What an operator sets about the database is what the connections do."""

import pytest

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, indexing
from agent_memory.domain.errors import Unavailable
from agent_memory.settings import Settings
from agent_memory.settings.sections import DatabaseSettings
from agent_memory.wiring.tending import tending

pytestmark = pytest.mark.integration


async def test_no_statement_takes_longer_than_the_timeout(conninfo, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE", 1.0)
    async with connection.opened(conninfo, 1, 2, command_timeout=0.05) as database:
        with pytest.raises(Unavailable, match="statement timeout"):
            await database.run(lambda c: c.execute("SELECT pg_sleep(10)"))


@pytest.mark.parametrize("kind", ["hnsw", "ivfflat"])
async def test_the_vector_index_is_of_the_kind_that_is_set(conninfo, monkeypatch, kind):
    built = []

    async def build(_, name, __):
        built.append(name)
        return True

    monkeypatch.setattr(indexing, "_build", build)
    monkeypatch.setattr(indexing, "_LARGEST", "SELECT 10000")
    monkeypatch.setattr(indexing, "_DIMENSIONS", "SELECT 384 WHERE %s > 0")
    settings = Settings(database=DatabaseSettings(vector_index=kind))
    async with connection.opened(conninfo, 1, 2) as database:
        [chore] = [c for c in tending(settings, database, HashingEmbedder()) if c.name == "indexes"]
        await chore.work()
    assert built == [f"memories_{kind}_384", "memories_by_word"]
