"""The whole application on in-memory parts and on a real database, and clients of both eras of the protocol."""

from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from mcp import Client
from mcp_clients import ERAS

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.bootstrap import bootstrap
from agent_memory.entrypoints.mcp.scope import Whose
from agent_memory.entrypoints.mcp.server import create_server
from agent_memory.settings import MemorySettings, ModelSettings, Settings

UNLIMITED = MemorySettings(rate_limit_writes_per_minute=0, rate_limit_searches_per_minute=0)


@pytest.fixture(params=["in_memory", "postgres"])
async def application(request, tmp_path):
    settings = Settings(data_dir=str(tmp_path), memory=UNLIMITED, model=ModelSettings(enabled=False))
    if request.param == "postgres":
        parts = {"conninfo": request.getfixturevalue("conninfo")}
    else:
        store = InMemoryMemoryStore()
        parts = {"memory_store": store, "memory_archive": InMemoryMemoryArchive(store)}
    async with bootstrap(settings, embedder=HashingEmbedder(), conversation=None, **parts) as application:
        yield application


@pytest.fixture
def who():
    """An agent of which nobody has heard yet, for the database is everybody's."""
    return {"agent_id": f"guide-{uuid4().hex[:12]}", "user_id": "ada"}


@pytest.fixture(params=ERAS)
def era(request):
    return ERAS[request.param]


@pytest.fixture
def connected(application, era):
    """A client of a server of its own, for a connection that fixes what it is told to fix."""

    @asynccontextmanager
    async def connect(user=None, **fixed):
        server = create_server(application, lambda _: Whose(**fixed))
        async with Client(server, mode=era, elicitation_callback=user) as client:
            yield client

    return connect
