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
from agent_memory.settings.profiles import LARGE_MODEL, SMALL_MODEL, CacheProfile, profile_of

MAC = Machine(apple_silicon=True, memory=16 * 2**30)
SMALL_MAC = Machine(apple_silicon=True, memory=8 * 2**30)
LINUX = Machine(apple_silicon=False, memory=64 * 2**30)


def test_every_profile_of_the_house_can_be_read():
    profiles = load_profiles()
    assert {SMALL_MODEL, LARGE_MODEL} <= {profile.id for profile in profiles}
    assert len({profile.id for profile in profiles}) == len(profiles)
    assert all(profile.sampling.source and profile.about for profile in profiles)


WANTED = {
    "agent-memory-small",
    "mlx-community/gemma-3-12b-it-4bit",
    "mlx-community/DeepSeek-Coder-V2-Lite-Instruct-4bit-mlx",
    "mlx-community/Meta-Llama-3.1-8B-Instruct-4bit",
    "mlx-community/Qwen3-8B-4bit",
    "mlx-community/gpt-oss-20b-MXFP4-Q4",
    "mlx-community/SmolLM2-1.7B-Instruct",
    "mlx-community/SmolLM2-135M-Instruct",
}


def test_no_model_is_described_twice():
    profiles = load_profiles()
    assert {profile.id for profile in profiles} == WANTED
    names = [name for profile in profiles for name in (profile.id, *profile.also)]
    assert all([p.id for p in profiles if p.holds_for(name)] == [profile_of(name, profiles).id] for name in names)


def test_a_profile_holds_for_other_builds_of_its_model():
    plan = plan_model(Settings(model=ModelSettings(id="mlx-community/gpt-oss-20b-MXFP4-Q8")), load_profiles(), LINUX)
    assert (plan.temperature, plan.source) == (1.0, "mlx-community/gpt-oss-20b-MXFP4-Q8")


def test_the_users_own_profile_wins_table_by_table(tmp_path):
    house, own = tmp_path / "house", tmp_path / "own"
    house.mkdir()
    own.mkdir()
    (house / "a.toml").write_text('id = "maker/Model"\n[cache]\nbits = 4\n[sampling]\ntemperature = 0.5\n')
    (own / "model.toml").write_text('id = "model"\n[cache]\nbits = 8\n')
    (own / "other.toml").write_text('id = "somebody/other"\n[cache]\nbits = 16\n')
    profiles = load_profiles(house, own)
    plan = plan_model(Settings(model=ModelSettings(id="maker/model")), profiles, LINUX)
    assert (plan.kv_bits, plan.temperature) == (8, 0.5)
    assert plan_model(Settings(model=ModelSettings(id="somebody/other")), profiles, LINUX).kv_bits == 16
    assert load_profiles(house, tmp_path / "missing") == load_profiles(house)


def test_what_was_measured_on_one_build_does_not_hold_for_another(tmp_path):
    (tmp_path / "q8.toml").write_text('id = "gpt-oss-20b-MXFP4-Q8"\n[cache]\nbits = 16\n')
    profiles = load_profiles(own=tmp_path)
    names = [f"mlx-community/gpt-oss-20b-MXFP4-{build}" for build in ("Q8", "Q4")]
    plans = [plan_model(Settings(model=ModelSettings(id=name)), profiles, LINUX) for name in names]
    assert [(plan.kv_bits, plan.temperature) for plan in plans] == [(16, 1.0), (4, 1.0)]


def test_a_users_own_profile_is_checked_as_ours_are(tmp_path):
    (tmp_path / "odd.toml").write_text('id = "a/b"\n[cache]\nbits = 3\n')
    with pytest.raises(Misconfigured, match=r"model profile odd.toml: .*3"):
        load_profiles(own=tmp_path)


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
