"""`agent-memory models` and `agent-memory calibrate`: what is known of a model, and what its cache may cost."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agent_memory.application.calibration import Effort
from agent_memory.domain.kv.calibration import Measured, Tolerance
from agent_memory.domain.kv.capacity import Cost, LayerGroup
from agent_memory.domain.kv.precision import Precision
from agent_memory.entrypoints.telling import complaints
from agent_memory.settings import Settings, load_settings
from agent_memory.wiring.workshop import Calibrated, Text, View, Workbench, known_models, look_at

models = typer.Typer(
    name="models", help="Look at language models: nothing is downloaded, no weights are read.", no_args_is_help=True
)

DataDir = Annotated[str | None, typer.Option(help="Where everything is kept (default: ~/.agent_memory)")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A settings file (TOML)")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]
MB = 1 << 20
_EFFORT = Effort()


@models.command("ls")
def ls(*, data_dir: DataDir = None, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """List the models that have a profile, and whether they are on this machine."""
    with complaints():
        known = list(known_models(_settings(None, data_dir, settings)))
    if as_json:
        rows = [{"id": one.profile.id, "here": one.folder is not None, "about": one.profile.about} for one in known]
        typer.echo(json.dumps(rows, indent=1))
        return
    width = max(len(one.profile.id) for one in known)
    for one in known:
        bits = _bits(Precision.of(one.profile.cache.bits)).rjust(7)
        typer.echo(f"{one.profile.id:<{width}}  {'here' if one.folder else '-':<4}  {bits}  {one.profile.about}")


@models.command("show")
def show(
    model: Annotated[
        str | None, typer.Argument(help="A hub id or a local folder (default: the model that serve takes)")
    ] = None,
    *,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's geometry, bytes per token, and how many agents fit into memory at each precision."""
    with complaints():
        view = look_at(_settings(model, data_dir, settings))
    typer.echo(json.dumps(_plain(view), indent=1) if as_json else "\n".join(_lines(view)))


def calibrate(
    model: Annotated[
        str | None, typer.Argument(help="A hub id or a local folder (default: the model that serve takes)")
    ] = None,
    *,
    text: Annotated[
        Path | None, typer.Option(help="A text to read (default: documentation of Python's library)")
    ] = None,
    tokens: Annotated[int, typer.Option(min=512, help="Tokens of it to read")] = _EFFORT.tokens,
    window: Annotated[int, typer.Option(min=256, help="Tokens that are read together")] = _EFFORT.window,
    contexts: Annotated[int, typer.Option(min=1, help="Conversations of eight facts each")] = _EFFORT.contexts,
    distance: Annotated[int, typer.Option(min=0, help="Tokens between a fact and its question")] = _EFFORT.distance,
    answer: Annotated[
        int, typer.Option(min=1, help="Tokens of an answer; more for a model that thinks")
    ] = _EFFORT.answer,
    perplexity: Annotated[float, typer.Option(min=0, help="Perplexity may rise by so many percent")] = 1.0,
    points: Annotated[float, typer.Option(min=0, help="Agreement and recall may fall by so many points")] = 1.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure, and write nothing")] = False,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Measure what fewer bits cost a model, and write the fewest that it bears into your profile of it."""
    effort, tolerance = Effort(tokens, window, contexts, distance, answer), Tolerance(perplexity, points)
    with complaints():
        chosen = _settings(model, data_dir, settings)
        read, bench = Text.of(text), Workbench(chosen)
        measured: list[Measured] = []
        for one in bench.measure(read, effort):
            measured.append(one)
            if not as_json:
                typer.echo(_row(one, measured[0]))
        result = bench.judge(measured, tolerance, read)
        path = None if dry_run else result.write(chosen)
    if as_json:
        typer.echo(json.dumps(_verdict(result, path), indent=1))
    else:
        typer.echo(f"\n{result.plan.id}: {_bits(result.verdict.chosen)}" + (f", written to {path}" if path else ""))


def _settings(model: str | None, data_dir: str | None, file: Path | None) -> Settings:
    given = {"model.id": ("MODEL", model), "data_dir": ("--data-dir", data_dir)}
    return load_settings(os.environ, {key: pair for key, pair in given.items() if pair[1] is not None}, file)


def _bits(precision: Precision) -> str:
    return f"{precision} bits" if str(precision).isdigit() else str(precision).upper()


# --- models show ---


def _lines(view: View) -> list[str]:
    plan, profile = view.plan, view.profile
    weights = f"{_size(view.weights)} of weights" if view.weights else "no weights on this machine"
    lengths = [f"{stay.tokens // 1024}K" for stay in view.costs[0].stays]
    return [
        plan.id,
        f"  folder    {view.folder} ({weights})",
        f"  profile   {profile.about or 'none, so defaults'}",
        f"  cache     {_bits(Precision.of(plan.kv_bits, plan.kv_group_size))}, groups of {plan.kv_group_size}",
        f"  sampling  temperature {plan.temperature:g}, top_p {plan.top_p:g} ({profile.sampling.source})",
        *(f"  {'layers' if n == 0 else '':<8}  {_layers(group)}" for n, group in enumerate(view.layers)),
        "",
        "  bytes of a token     lasting      local      both",
        *(
            f"    {_bits(c.precision):<14} {c.lasting:>11,} {c.local:>10,} {c.lasting + c.local:>9,}"
            for c in view.costs
        ),
        "",
        f"  agents that fit into {_size(view.budget)} of memory for caches, and bytes of each",
        f"    {'':<10}" + "".join(f"{length:>18}" for length in lengths),
        *(f"    {_bits(cost.precision):<10}" + "".join(_stays(cost)) for cost in view.costs),
        "",
        f"  an agent of {lengths[-1]} takes, of all its layers in 16 bits: "
        + ", ".join(f"{cost.ratio:.3f} at {_bits(cost.precision)}" for cost in view.costs),
    ]


def _layers(group: LayerGroup) -> str:
    layer = group.layer
    if layer.state:
        return f"{group.count} recurrent: a state of {_size(sum(array.nbytes for array in layer.state))}"
    window = f" of {layer.window}" if layer.window else ""
    heads = f"{layer.kv_heads} heads, keys of {layer.key_dim}, values of {layer.value_dim}"
    return f"{group.count} {layer.kind.value}{window}: {heads}"


def _token(cost: Cost) -> str:
    return f"    {_bits(cost.precision):<14} {cost.lasting:>11,} {cost.local:>10,} {cost.lasting + cost.local:>9,}"


def _stays(cost: Cost) -> list[str]:
    return [f"{stay.agents:>6,} {'x ' + _size(stay.nbytes):>11}" for stay in cost.stays]


def _size(nbytes: int) -> str:
    return f"{nbytes / (1 << 30):.1f} GB" if nbytes >= 1 << 30 else f"{nbytes / MB:.1f} MB"


def _plain(view: View) -> dict[str, object]:
    return {
        "id": view.plan.id,
        "folder": str(view.folder),
        "weight_bytes": view.weights,
        "cache_budget_bytes": view.budget,
        "plan": asdict(view.plan),
        "profile": msgspec.to_builtins(view.profile),
        "layers": [asdict(g.layer) | {"kind": g.layer.kind.value, "count": g.count} for g in view.layers],
        "precisions": [
            {
                "precision": str(cost.precision),
                "lasting_bytes_per_token": cost.lasting,
                "local_bytes_per_token": cost.local,
                "of_all_layers_in_16_bits": round(cost.ratio, 4),
                "agents": [asdict(stay) for stay in cost.stays],
            }
            for cost in view.costs
        ],
    }


# --- calibrate ---


def _row(one: Measured, reference: Measured) -> str:
    columns = (
        f"{_bits(one.precision):<8}",
        f"{one.token_bytes:>9,} bytes a token",
        f"perplexity {one.perplexity:.3f} ({100 * (one.perplexity / reference.perplexity - 1):+.2f} %)",
        f"agreement {100 * one.agreement:.2f} %",
        f"recall {100 * one.recall:.1f} %",
    )
    return "   ".join(columns)


def _verdict(result: Calibrated, path: Path | None) -> dict[str, object]:
    return {
        "model": result.plan.id,
        "chosen": str(result.verdict.chosen),
        "calibration": msgspec.to_builtins(result.profile),
        "profile": None if path is None else str(path),
    }
