"""The doors on in-memory parts: the whole application but the database, the embedding model and the language model."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import httpx
import httpx2
import openai
import pytest
from toy_engine import toy_engine

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.chat import ByteChatTokenizer
from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.conversation import Conversation, Prompt
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.model_slot import LoadedModel
from agent_memory.application.replies import Begun, Delta, Finish, Piece
from agent_memory.bootstrap import bootstrap
from agent_memory.entrypoints.http.app import create_app
from agent_memory.settings import MemorySettings, ModelSettings, ServerSettings, Settings


@dataclass(frozen=True)
class Stats:
    turns_running: int = 2
    tokens_total: int = 30
    backend: str = "paper"


@dataclass
class Scripted:
    """A conversation that says what it is told to: texts, other pieces, pauses (seconds), errors."""

    script: list[str | float | Exception | Piece] = field(default_factory=lambda: ["Hel", "lo"])
    prompts: list[Prompt] = field(default_factory=list)
    closed: int = 0
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    model_id: str = "scripted"
    created: int = 1_700_000_000
    thinks: bool = False

    async def count(self, prompt: Prompt) -> int:
        self.prompts.append(prompt)
        return 12

    async def spell(self, tokens) -> str:
        return str(list(tokens))

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        self.prompts.append(prompt)
        try:
            if prompt.announced:
                yield Begun(12, 8)
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    self.paused.set()
                    await asyncio.sleep(step)
                else:
                    yield Delta(step) if isinstance(step, str) else step
            if not (self.script and isinstance(self.script[-1], Finish)):
                yield Finish("stop", prompt_tokens=12, cached_tokens=8, completion_tokens=2)
        finally:
            self.closed += 1
            self.ended.set()

    def stats(self) -> Stats:
        return Stats()

    async def check(self) -> None:
        pass


@pytest.fixture
def conversation():
    return Scripted()


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data_dir=str(tmp_path),
        model=ModelSettings(id="maker/model"),
        server=ServerSettings(cors_origins=("https://app.example",), max_body_mb=1),
        memory=MemorySettings(rate_limit_writes_per_minute=0, rate_limit_searches_per_minute=0),
    )


@pytest.fixture
def memory_store():
    return InMemoryMemoryStore()


@pytest.fixture
async def application(settings, memory_store, conversation):
    async with bootstrap(
        settings,
        memory_store=memory_store,
        memory_archive=InMemoryMemoryArchive(memory_store),
        condensing_store=InMemoryCondensingStore(memory_store),
        embedder=HashingEmbedder(),
        conversation=conversation,
    ) as application:
        yield application


@pytest.fixture
async def toy_model(application):
    """With a toy engine in the place of what is scripted."""
    thread = EngineThread(toy_engine)
    await thread.start()
    conversation = Conversation(thread, ByteChatTokenizer(), model_id="toy", created=1, max_context=20_000)
    application.models.hold(LoadedModel(application.plan, conversation, thread))
    yield
    await application.models.close(1)


@pytest.fixture
def app(application):
    return create_app(application)


@pytest.fixture
async def client(app):
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
async def gpt(app):
    """OpenAI's own client."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport) as http:
        yield openai.AsyncOpenAI(base_url="http://server/v1", api_key="none", max_retries=0, http_client=http)
