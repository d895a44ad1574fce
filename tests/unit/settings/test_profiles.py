"""A model's profile fills what the operator leaves open, and nothing else."""

import pytest

from agent_memory.domain.errors import Misconfigured
from agent_memory.settings import (
    CacheSettings,
    Machine,
    ModelSettings,
    Profile,
    Settings,
    load_profiles,
    plan_model,
)
from agent_memory.settings.profiles import LARGE_MODEL, SMALL_MODEL, CacheProfile

MAC = Machine(apple_silicon=True, memory=16 * 2**30)
SMALL_MAC = Machine(apple_silicon=True, memory=8 * 2**30)
LINUX = Machine(apple_silicon=False, memory=64 * 2**30)


def test_every_profile_of_the_house_can_be_read():
    profiles = load_profiles()
    assert {SMALL_MODEL, LARGE_MODEL} <= {profile.id for profile in profiles}
    assert len({profile.id for profile in profiles}) == len(profiles)
    assert all(profile.sampling.source and profile.about for profile in profiles)


def test_an_unknown_key_in_a_profile_is_an_error(tmp_path):
    (tmp_path / "odd.toml").write_text("id = 'a/b'\n[sampling]\ntemprature = 1.0\n")
    with pytest.raises(Misconfigured, match=r"model profile odd.toml: .*temprature"):
        load_profiles(tmp_path)


@pytest.mark.parametrize(("machine", "name"), [(MAC, LARGE_MODEL), (SMALL_MAC, SMALL_MODEL), (LINUX, SMALL_MODEL)])
def test_the_default_model_is_what_the_machine_can_carry(machine, name):
    assert plan_model(Settings(), load_profiles(), machine).id == name


def test_a_local_copy_keeps_its_profile(tmp_path):
    folder = tmp_path / "Some-Model"
    folder.mkdir()
    profile = Profile(id="maker/some-model", cache=CacheProfile(bits=8))
    plan = plan_model(Settings(model=ModelSettings(id=str(folder))), [profile], LINUX)
    assert (plan.id, plan.source, plan.kv_bits) == ("Some-Model", str(folder), 8)


def test_a_setting_wins_over_the_profile():
    profile = Profile(id="maker/model", cache=CacheProfile(bits=8))
    model = ModelSettings(id="maker/model", default_temperature=0.0)
    plan = plan_model(Settings(model=model, cache=CacheSettings(kv_bits=16)), [profile], LINUX)
    assert (plan.kv_bits, plan.temperature) == (16, 0.0)


def test_a_profile_may_want_more_bits_for_keys_and_name_the_attention(tmp_path):
    (tmp_path / "model.toml").write_text("id = 'a/b'\n[cache]\nbits = 'k8v4'\nattention = 'packed'\n")
    plan = plan_model(Settings(model=ModelSettings(id="a/b")), load_profiles(tmp_path), LINUX)
    assert (plan.kv_bits, plan.kv_attention) == ("k8v4", "packed")


def test_a_model_nobody_described_gets_the_defaults():
    plan = plan_model(Settings(model=ModelSettings(id="maker/unheard-of")), load_profiles(), LINUX)
    assert (plan.source, plan.kv_bits, plan.temperature) == ("maker/unheard-of", 4, 1.0)


@pytest.mark.parametrize("missing", ["/no/such/folder", "./no-such", "~/no/such", "nosuch", "a/b/c"])
def test_a_missing_folder_is_told_before_anything_is_loaded(missing):
    with pytest.raises(Misconfigured, match=f"no model folder at {missing}"):
        plan_model(Settings(model=ModelSettings(id=missing)), (), LINUX)


def test_this_machine_can_be_asked():
    assert Machine.this().memory > 0
