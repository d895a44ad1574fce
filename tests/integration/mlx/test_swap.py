"""A change of model on real models: memory really falls, and both models find their own blocks again."""

import gc

import pytest
from models import make_model

from agent_memory.adapters.mlx import loading
from agent_memory.application.conversation import Message, Prompt, Sampling
from agent_memory.application.model_slot import ModelSlot
from agent_memory.application.replies import Finish
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.kv.agents import AgentName
from agent_memory.settings import Machine, ModelSettings, Settings, load_profiles, plan_model
from agent_memory.wiring.models import MlxModels

ADA = AgentName("default", "ada")
LARGE = {"hidden_size": 512, "intermediate_size": 2048}  # 57 MB in float32


def plan_for(folder):
    return plan_model(Settings(model=ModelSettings(id=str(folder))), load_profiles(), Machine.this())


@pytest.fixture
def plans(tmp_path):
    large = make_model(tmp_path / "large", "llama", **LARGE)
    small = make_model(tmp_path / "small", "qwen3")
    broken = make_model(tmp_path / "broken", "llama")
    (broken / "model.safetensors").write_bytes(b"no tensors")
    return {folder.name: plan_for(folder) for folder in (large, small, broken)}


@pytest.fixture
async def slot(plans, tmp_path):
    (tmp_path / "kv").mkdir()
    slot = ModelSlot(MlxModels(Settings(data_dir=str(tmp_path)), tmp_path / "kv"), plans["large"])
    await slot.load()
    yield slot
    await slot.close(1)


async def ask(slot):
    text, finish = "", None
    prompt = Prompt((Message("user", "The harbour and the bridges. " * 20),), Sampling(0), 12, agent=ADA)
    async for piece in slot.ready().reply(prompt):
        if isinstance(piece, Finish):
            finish = piece
        else:
            text += piece.text
    await slot.ask(len)
    return text, finish


async def test_memory_falls_with_the_model(slot, plans):
    await ask(slot)
    await slot.offload(5)
    gc.collect()
    others = loading.mx.get_active_memory()  # of tests before this one
    await slot.load()
    with_large = loading.mx.get_active_memory() - others
    await ask(slot)
    swap = await slot.swap(plans["small"], 5)
    with_small = loading.mx.get_active_memory() - others
    assert (swap.before, swap.after) == ("large", "small")
    assert with_small < with_large / 4
    assert loading.mx.get_cache_memory() < 10e6
    await slot.offload(5)
    assert loading.mx.get_active_memory() - others < with_small


async def test_both_models_find_their_own_blocks_again(slot, plans):
    first, _ = await ask(slot)
    await slot.swap(plans["small"], 5)
    other, nothing = await ask(slot)
    await slot.swap(plans["large"], 5)
    again, cached = await ask(slot)
    assert (again, cached.cached_tokens) == (first, cached.prompt_tokens - 1)
    assert nothing.cached_tokens == 0
    await slot.swap(plans["small"], 5)
    back, cached = await ask(slot)
    assert (back, cached.cached_tokens) == (other, cached.prompt_tokens - 1)


async def test_a_model_that_cannot_be_loaded_brings_the_former_back(slot, plans):
    first, _ = await ask(slot)
    with pytest.raises(Unavailable, match="large serves again"):
        await slot.swap(plans["broken"], 5)
    again, cached = await ask(slot)
    assert (again, cached.cached_tokens) == (first, cached.prompt_tokens - 1)
