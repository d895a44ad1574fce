"""`agent-memory models` and `agent-memory calibrate`, as they are typed."""

import json
import tomllib

import pytest
from models import CONFIGS, make_model
from typer.testing import CliRunner

from agent_memory.entrypoints.cli import cli

pytestmark = pytest.mark.integration


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], env={"HF_HUB_OFFLINE": "1"})


@pytest.fixture
def gemma(tmp_path):
    return make_model(tmp_path / "a-model", "gemma3_text")


def test_a_model_is_shown_from_its_config_alone(tmp_path):
    folder = tmp_path / "no-weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGS["gemma3_wide"]))
    told = run("models", "show", folder)
    assert told.exit_code == 0, told.output
    assert "no weights on this machine" in told.stdout
    assert "1 full: 2 heads, keys of 64, values of 64" in told.stdout
    assert "3 window of 600: 2 heads, keys of 64, values of 64" in told.stdout
    # 2 heads x (64 + 64) numbers, at 4 bits and a 32-bit scale and bias for each 64 of them
    assert "    4 bits                 144        432       576" in told.stdout
    assert "    K8V4                   208        624       832" in told.stdout


def test_what_is_shown_can_be_read_by_programs(gemma):
    shown = json.loads(run("models", "show", gemma, "--json").stdout)
    assert shown["id"] == "a-model"
    assert [(layer["count"], layer["kind"]) for layer in shown["layers"]] == [(2, "full"), (2, "window")]
    by_bits = {one["precision"]: one for one in shown["precisions"]}
    assert by_bits["16"]["lasting_bytes_per_token"] == 2 * 512
    stay = by_bits["4"]["agents"][-1]
    assert stay["tokens"] == 32_768
    assert stay["agents"] == shown["cache_budget_bytes"] // stay["nbytes"]


def test_nothing_is_downloaded_to_show_a_model():
    told = run("models", "show", "nobody/has-this")
    assert told.exit_code == 2
    assert told.stderr.startswith("agent-memory: model: nobody/has-this is not on this machine, and nothing is down")
    assert told.stderr.count("\n") == 1


def test_the_known_models_are_listed(tmp_path):
    rows = json.loads(run("models", "ls", "--json", "--data-dir", tmp_path).stdout)
    assert {k: rows[0][k] for k in ("id", "here")} == {"id": "agent-memory-small", "here": True}
    assert "mlx-community/gemma-3-12b-it-4bit" in run("models", "ls", "--data-dir", tmp_path).stdout


def calibrated(model, data, *options):
    effort = ("--tokens", 512, "--window", 256, "--contexts", 1, "--distance", 64)
    return run("calibrate", model, "--data-dir", data, *effort, *options)


def test_a_verdict_is_written_where_the_next_start_finds_it(gemma, tmp_path):
    data = tmp_path / "data"
    told = calibrated(gemma, data, "--perplexity", 100, "--points", 100, "--json")
    assert told.exit_code == 0, told.output
    verdict = json.loads(told.stdout)
    assert verdict["chosen"] == "4"
    assert verdict["profile"] == str(data / "profiles" / "a-model.toml")
    profile = tomllib.loads((data / "profiles" / "a-model.toml").read_text())
    assert profile["calibration"] == verdict["calibration"]
    assert profile["calibration"]["measured"][0]["agreement"] == 1.0
    assert "4 bits, groups of 64" in run("models", "show", gemma, "--data-dir", data).stdout


def test_nothing_is_written_on_a_dry_run(gemma, tmp_path):
    told = calibrated(gemma, tmp_path / "data", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "16 bits" in told.stdout
    assert not (tmp_path / "data").exists()


def test_a_text_that_cannot_be_read_is_told_before_a_model_is_loaded(tmp_path):
    told = calibrated("nobody/has-this", tmp_path, "--text", tmp_path / "missing")
    assert told.exit_code == 2
    assert told.stderr.startswith(f"agent-memory: text {tmp_path / 'missing'}: cannot be read: ")


def test_a_text_that_is_too_short_is_told(gemma, tmp_path):
    (tmp_path / "short.txt").write_text("Too short.")
    told = calibrated(gemma, tmp_path, "--text", tmp_path / "short.txt")
    assert told.exit_code == 2
    assert "agent-memory: text: 10 tokens are too few, it must have at least 512" in told.stderr


def test_more_than_the_model_can_read_at_once_is_told(gemma, tmp_path):
    told = calibrated(gemma, tmp_path, "--window", 40_000)
    assert told.exit_code == 2
    assert told.stderr == "agent-memory: window, distance: the model's context is 32768 tokens\n"
