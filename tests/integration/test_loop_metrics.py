"""The tasks of the event loop are counted when somebody asks."""

import asyncio

from prometheus_client import CollectorRegistry, generate_latest

from agent_memory.adapters.prometheus.loop import LoopCollector


def told(registry):
    [line] = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    name, value = line.split()
    assert name == "agent_memory_event_loop_tasks"
    return float(value)


async def test_a_task_counts_until_it_has_ended():
    registry = CollectorRegistry()
    LoopCollector(registry)
    before, leave = told(registry), asyncio.Event()
    waiting = asyncio.create_task(leave.wait())
    assert told(registry) == before + 1
    leave.set()
    await waiting
    assert told(registry) == before


def test_without_a_loop_there_are_none():
    registry = CollectorRegistry()
    LoopCollector(registry)
    assert told(registry) == 0
