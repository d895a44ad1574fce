"""What calibration writes is what the next start reads."""

import pytest

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.calibration import Measured, Tolerance, judge
from agent_memory.domain.kv.precision import Precision
from agent_memory.settings import Machine, ModelSettings, Settings, load_profiles, plan_model
from agent_memory.settings.own_profiles import calibration_profile, write_own_profile

LINUX = Machine(apple_silicon=False, memory=8 * 2**30)
VERDICT = judge(
    [
        Measured(Precision(16), 1024, 12.0, 1.0, 0.95, 8192, 64),
        Measured(Precision(8), 544, 12.01, 0.999, 0.95),
        Measured(Precision(4), 288, 12.6, 0.97, 0.9),
    ],
    Tolerance(),
)
FIGURES = calibration_profile(VERDICT, "2026-11-20", "f" * 64, 'a "text", C:\\here')


def test_a_verdict_is_read_again_with_its_figures(tmp_path):
    path = write_own_profile(tmp_path / "profiles", "mlx-community/Some-Model", VERDICT.chosen, FIGURES)
    assert path.name == "some-model.toml"
    (profile,) = [p for p in load_profiles(own=path.parent) if p.holds_for("Some-Model")]
    assert profile.calibration == FIGURES
    assert [one.perplexity_change for one in FIGURES.measured] == [0.0, 0.083, 5.0]


def test_the_next_plan_follows_it(tmp_path):
    settings = Settings(model=ModelSettings(id="mlx-community/Qwen3-8B-4bit"))
    before = plan_model(settings, load_profiles(own=tmp_path), LINUX)
    write_own_profile(tmp_path, "mlx-community/Qwen3-8B-4bit", VERDICT.chosen, FIGURES)
    after = plan_model(settings, load_profiles(own=tmp_path), LINUX)
    assert (before.kv_bits, after.kv_bits) == (4, 8)
    assert after.temperature == before.temperature == 0.6


def test_a_second_verdict_replaces_the_first(tmp_path):
    for chosen in (Precision(8), Precision(16)):
        write_own_profile(tmp_path, "m", chosen, FIGURES)
    assert [file.name for file in tmp_path.iterdir()] == ["m.toml"]
    (profile,) = [p for p in load_profiles(own=tmp_path) if p.id == "m"]
    assert profile.cache.bits == 16


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"profile .*m.toml: cannot be written: "):
        write_own_profile(tmp_path / "file", "m", Precision(8), FIGURES)


def test_bits_of_keys_and_values_are_written_as_settings_write_them(tmp_path):
    write_own_profile(tmp_path, "m", Precision.of("k8v4", 32), FIGURES)
    plan = plan_model(Settings(model=ModelSettings(id="maker/m")), load_profiles(own=tmp_path), LINUX)
    assert (plan.kv_bits, plan.kv_group_size) == ("k8v4", 32)
