"""`agent-memory cache`: the agents of a data folder and their blocks, as tables, or as JSON for other programs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent_memory.domain.errors import AgentMemoryError
from agent_memory.entrypoints.cache_access import CacheAccess, cache_of
from agent_memory.entrypoints.http.wire import agents as wire
from agent_memory.settings import load_settings

cache = typer.Typer(
    name="cache",
    help="Agents and their blocks. While a server owns the data folder it is asked, otherwise the folder is opened.",
    no_args_is_help=True,
)

_WIDE = 1000  # columns, for whatever is no terminal and wraps nothing

AgentId = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id")]
DataDir = Annotated[str | None, typer.Option("--data-dir", help="Where everything is kept [~/.agent_memory]")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A settings file (TOML)")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON")]


@cache.command("ls")
def list_agents(*, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """List the agents, and where their blocks are."""
    with _cache(data_dir, settings) as access:
        agents = access.list()
    _show(agents, _agents(agents), json=json)


@cache.command()
def show(agent: AgentId, *, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Show one agent whole."""
    with _cache(data_dir, settings) as access:
        told = access.show(agent)
    _show(told, _details(told), json=json)


@cache.command()
def pin(agent: AgentId, *, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Keep its blocks in every tier they are in."""
    with _cache(data_dir, settings) as access:
        told = access.pin(agent)
    _show(told, f"{_name(agent)} is pinned: {_size(told.cache.own_bytes + told.cache.shared_bytes)}", json=json)


@cache.command()
def unpin(agent: AgentId, *, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Let its blocks go in their turn again."""
    with _cache(data_dir, settings) as access:
        told = access.unpin(agent)
    _show(told, f"{_name(agent)} is not pinned", json=json)


@cache.command()
def warm(agent: AgentId, *, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Bring its blocks from disk into the memory of the running server."""
    with _cache(data_dir, settings) as access:
        told = access.warm(agent)
    _show(told, f"{_name(agent)} is warm: {_size(told.bytes)} came from disk", json=json)


@cache.command("export")
def export_agent(
    agent: AgentId,
    file: Annotated[Path, typer.Argument(help="Where to write it; - is the standard output")],
    *,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
) -> None:
    """Write the agent into one file, which another machine with the same model can import."""
    with _cache(data_dir, settings) as access:
        if str(file) == "-":
            access.export(agent, sys.stdout.buffer)
            return
        unfinished = file.with_name(file.name + ".part")
        try:
            with unfinished.open("wb") as target:
                access.export(agent, target)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    typer.echo(f"{_name(agent)} is in {file}: {_size(file.stat().st_size)}")


@cache.command("import")
def import_agent(
    file: Annotated[Path, typer.Argument(help="What `export` wrote")],
    *,
    name: Annotated[str | None, typer.Option("--as", help="Under this id instead of its own")] = None,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Take in what `export` wrote. A damaged file is refused."""
    with _cache(data_dir, settings) as access, file.open("rb") as source:
        told = access.load(source, name)
    new = told.parts - told.known_parts
    _show(told, f"{_name(told.agent.agent_id)} is here: {new} parts of blocks came, {told.known_parts} were", json=json)


@cache.command("rm")
def remove(agent: AgentId, *, data_dir: DataDir = None, settings: SettingsFile = None) -> None:
    """Remove the agent, and the blocks that nobody else needs."""
    with _cache(data_dir, settings) as access:
        access.remove(agent)
    typer.echo(f"{_name(agent)} is gone")


@cache.command()
def verify(*, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Check every file's digest, and say what is damaged: exit code 1 if anything is."""
    with _cache(data_dir, settings) as access:
        told = access.verify()
    lines = [f"{each.file}: {each.reason}" for each in told.damaged]
    verdict = f"{len(lines)} of {told.files} files are damaged" if lines else f"all {told.files} files are sound"
    _show(told, "\n".join([*lines, f"{verdict} ({_size(told.bytes)})"]), json=json)
    if lines:
        raise typer.Exit(1)


@cache.command("gc")
def collect(*, data_dir: DataDir = None, settings: SettingsFile = None, json: Json = False) -> None:
    """Remove expired agents, blocks that no chain leads to, files put aside as damaged, and what exceeds the budget."""
    with _cache(data_dir, settings) as access:
        told = access.collect()
    went = f"{told.agents} expired agents, {told.blocks} unreachable blocks, {told.files} damaged files"
    _show(told, f"removed {went} ({_size(told.bytes)})", json=json)


@contextmanager
def _cache(data_dir: str | None, file: Path | None) -> Iterator[CacheAccess]:
    options = {} if data_dir is None else {"data_dir": ("--data-dir", data_dir)}
    try:
        with cache_of(load_settings(os.environ, options, file)) as access:
            yield access
    except AgentMemoryError as error:
        typer.echo(f"agent-memory: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"agent-memory: {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(2) from None


def _show(told: object, people: Table | str, *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    elif isinstance(people, str):
        typer.echo(people)
    else:
        Console(width=None if sys.stdout.isatty() else _WIDE).print(people)


def _agents(agents: list[wire.AgentAnswer]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("agent", overflow="fold")
    for column in ("tokens", "turns", "hits", "memory", "disk", "own", "shared", "last use"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for each in agents:
        held = each.cache
        sizes = (held.memory.bytes, held.disk.bytes, held.own_bytes, held.shared_bytes)
        counts = map(str, (each.cache_size_tokens, each.turns, each.hits))
        sides = _ago(each.last_used_at), escape(_marks(each))
        table.add_row(escape(_name(each.agent_id)), *counts, *map(_size, sizes), *sides)
    return table


def _details(agent: wire.AgentAnswer) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    held = agent.cache
    restorable = "unknown without a model" if held.restorable_tokens is None else f"{held.restorable_tokens} tokens"
    rows = {
        "agent": _name(agent.agent_id),
        "status": f"{agent.status} {_marks(agent)}".strip(),
        "made, last used": f"{agent.created_at:%Y-%m-%d %H:%M:%S}, {agent.last_used_at:%Y-%m-%d %H:%M:%S}",
        "expires": "never" if agent.expires_at is None else f"{agent.expires_at:%Y-%m-%d %H:%M:%S}",
        "turns, hits": f"{agent.turns}, {agent.hits}",
        "tokens": f"{agent.cache_size_tokens} in the last conversation",
        "restorable": restorable,
        "read, cached, written": f"{agent.prompt_tokens}, {agent.cached_tokens}, {agent.generated_tokens} tokens",
        "memory": f"{held.memory.blocks} blocks, {_size(held.memory.bytes)}",
        "disk": f"{held.disk.blocks} blocks, {_size(held.disk.bytes)}; {held.both_blocks} are in both",
        "own, shared": f"{_size(held.own_bytes)}, {_size(held.shared_bytes)}",
    }
    for name, what in rows.items():
        table.add_row(name, escape(what))
    return table


def _marks(agent: wire.AgentAnswer) -> str:
    marks = ["pinned"] if agent.pinned else []
    if agent.forked_from is not None:
        marks.append(f"fork of {_name(agent.forked_from)}")
    return ", ".join(marks)


def _name(agent_id: str) -> str:
    """As it is, unless it could harm a terminal."""
    return agent_id if agent_id.isprintable() else ascii(agent_id)


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MB" if nbytes >= 1 << 20 else f"{nbytes / 2**10:.1f} KB"


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
