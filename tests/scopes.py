"""Memories of one scope as tests make them, and how they ask for them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
from pgvector.psycopg import register_vector

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.selection import EVERYTHING
from agent_memory.domain.semantic.words import word_counts

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def memory_in(scope, content="tea in the garden", hours=0, **fields):
    return Memory(MemoryId(uuid4()), scope, content, START + timedelta(hours=hours), **fields)


async def entry(memory):
    [embedding] = await HashingEmbedder().embed([memory.content])
    return memory, embedding


async def search(scope, query="tea", depth=10, selection=EVERYTHING, newest=0, **fields):
    [embedding] = await HashingEmbedder().embed([query])
    return Search(scope, embedding, frozenset(word_counts(query)), depth, NOW, newest, selection, **fields)


async def contents(store, scope, **options):
    return [c.memory.content for c in (await store.shortlist(await search(scope, **options))).candidates]


def writer(conninfo):
    slow = psycopg.connect(conninfo)
    register_vector(slow)
    return slow
