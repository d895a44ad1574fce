"""Forked and imported agents answer as the one they come from, on real models of each attention kind."""

import io
import random

import pytest
from models import CONFIGS, make_model

from agent_memory.adapters.mlx.loading import load_model
from agent_memory.domain.errors import Conflict, InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.precision import Precision

KINDS = pytest.mark.parametrize("kind", CONFIGS)
ADA, EVE = AgentName("tenant", "ada"), AgentName("tenant", "eve")


def text(length, seed=0):
    dice = random.Random(seed)
    return [dice.randrange(250) for _ in range(length)]


async def exported(desk, name=ADA):
    return io.BytesIO(b"".join([piece async for piece in desk.agents.export(name)]))


def conversation(desk, agent=None, **options):
    """Two turns; the third prompt, and where its answers lie."""
    said, answers = text(600), ()
    for seed in (1, 2):
        answer, _ = desk.ask(said, agent=agent, answers=answers, **options)
        answers = (*answers, (len(said), len(said) + len(answer)))
        said = said + answer + text(30, seed)
    return said, answers


@KINDS
async def test_a_fork_goes_on_as_the_one_it_comes_from(kind, load, bench):
    desk = bench(load(kind).runtime)
    said, answers = conversation(desk, "ada")
    before = desk.store.used
    await desk.agents.fork(ADA, EVE)
    assert desk.store.used == before
    forked, cached = desk.ask(said, agent="eve", answers=answers)
    own, _ = desk.ask(said, agent="ada", answers=answers)
    anew, nothing = bench(load(kind).runtime, "fresh").ask(said, answers=answers)
    assert forked == own == anew
    assert (cached, nothing) == (answers[-1][1], 0)


@KINDS
@pytest.mark.parametrize("tenant", ["tenant", "another"])
async def test_an_imported_agent_goes_on_as_if_it_had_never_left(kind, tenant, load, bench):
    runtime = load(kind).runtime
    here, there = bench(runtime, "here"), bench(runtime, "there")
    said, answers = conversation(here, "ada")
    file = await exported(here)
    arrival = await there.agents.load(file, tenant)
    assert arrival.held.holding.restorable == arrival.held.agent.tokens == answers[-1][1]
    answer, cached = there.ask(said, agent="ada", answers=answers, tenant=tenant)
    restarted, from_disk = bench(runtime, "there").ask(said, answers=answers, tenant=tenant)
    assert answer == restarted == here.ask(said, agent="ada", answers=answers)[0]
    assert cached == answers[-1][1]
    assert from_disk >= cached
    assert there.ask(said, tenant="nobody's", answers=answers)[1] == 0


async def test_other_weights_and_another_precision_refuse_it(load, bench, tmp_path):
    desk = bench(load("llama").runtime)
    conversation(desk, "ada")
    file = await exported(desk)
    twin = load_model(make_model(tmp_path / "twin", "llama", seed=1), Precision(4), tmp_path).runtime
    for runtime, told in ((twin, "another model"), (load("llama", 8).runtime, "another cache geometry")):
        other = bench(runtime, "other")
        with pytest.raises(Conflict, match=told):
            await other.agents.load(file, "tenant")
        assert other.store.used == 0


async def test_no_flipped_bit_is_taken_in(load, bench):
    desk, there = bench(load("llama").runtime), bench(load("llama").runtime, "there")
    conversation(desk, "ada")
    whole, dice = (await exported(desk)).getvalue(), random.Random(7)
    places = {*range(0, len(whole), 4099), *range(1024), *range(len(whole) - 2560, len(whole))}
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << dice.randrange(8)
        with pytest.raises(InvalidInput, match="digest"):
            await there.agents.load(io.BytesIO(bytes(damaged)), "tenant")
    assert there.store.used == 0


@KINDS
async def test_a_warmed_agent_answers_from_memory(kind, load, bench):
    desk = bench(load(kind).runtime)
    said, answers = conversation(desk, "ada")
    expected, _ = bench(load(kind).runtime, "fresh").ask(said, answers=answers)
    back = bench(load(kind).runtime)
    warmth = await back.agents.warm(ADA)
    assert warmth.nbytes > 0
    holding = warmth.held.holding
    if not back.engine.scheduler.spec.exact:  # of states, only the one that is gone on from
        assert holding.memory_blocks == holding.blocks
    assert back.ask(said, agent="ada", answers=answers) == (expected, answers[-1][1])
