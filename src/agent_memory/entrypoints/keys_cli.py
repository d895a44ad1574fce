"""`agent-memory keys`: made, listed, revoked, as a table or as JSON, beside a running server or without one."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.entrypoints.http.wire import admin as wire
from agent_memory.entrypoints.keys_access import with_keys
from agent_memory.entrypoints.telling import complaints
from agent_memory.settings import Settings, load_settings

keys = typer.Typer(
    name="keys",
    help="API keys. With the first one every request needs a key; a running server sees all changes at once.",
    no_args_is_help=True,
)

DataDir = Annotated[str | None, typer.Option("--data-dir", help="Where everything is kept [~/.agent_memory]")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A settings file (TOML)")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON")]
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@keys.command()
def create(
    *,
    tenant: Annotated[str, typer.Option(help="Whose memories, agents and caches it opens")] = DEFAULT_TENANT,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent")] = None,
    user: Annotated[str | None, typer.Option(help="Only those about this user")] = None,
    name: Annotated[str, typer.Option(help="What it is for, to tell it from others")] = "",
    expires: Annotated[str | None, typer.Option(help="After 90d, 12h, 30m or 4w, or at 2027-01-31T12:00+00:00")] = None,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Make a key and show it, this once."""
    with complaints():
        end = None if expires is None else _end_of(expires, datetime.now(UTC))
        new = wire.NewKey(tenant=tenant, agent_id=agent, user_id=user, name=name, expires_at=end)
        made = with_keys(_loaded(data_dir, settings), lambda access: access.create(new))
    if json:
        _tell_json(made)
        return
    typer.echo(made.key)
    about = f"Key {made.key_id} opens {_reach(made)}{_until(made)}."
    typer.echo(f"{about} It is not shown again; send it as `Authorization: Bearer KEY`.", err=True)


@keys.command("ls")
def list_keys(
    *,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's")] = None,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """List the keys, revoked and expired ones too."""
    with complaints():
        found = with_keys(_loaded(data_dir, settings), lambda access: access.listed(tenant))
    if json:
        _tell_json(found)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("key", "status", "opens", "name", "made", "expires"):
        table.add_column(column, overflow="fold", min_width=16 if column == "key" else None)  # `revoke` wants it whole
    for key in found:
        end = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}"
        told = (key.key_id, key.status, _reach(key), key.name, f"{key.created_at:%Y-%m-%d %H:%M}", end)
        table.add_row(*(escape(_safe(each)) for each in told))
    Console().print(table)


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `ls` shows it")],
    *,
    data_dir: DataDir = None,
    settings: SettingsFile = None,
    json: Json = False,
) -> None:
    """Let it open nothing from now on."""
    with complaints():
        told = with_keys(_loaded(data_dir, settings), lambda access: access.revoke(key))
    if json:
        _tell_json(told)
    else:
        typer.echo(f"Key {told.key_id} is revoked.")


def _loaded(data_dir: str | None, file: Path | None) -> Settings:
    options = {} if data_dir is None else {"data_dir": ("--data-dir", data_dir)}
    return load_settings(os.environ, options, file)


def _end_of(text: str, now: datetime) -> datetime:
    if length := re.fullmatch(r"(\d{1,5})([mhdw])", text):
        return now + timedelta(**{_UNITS[length[2]]: int(length[1])})
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("expires", f"must be like 90d, 12h, 30m or 4w, or a date, is {text[:40]!r}") from None
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def _reach(key: wire.KeyAnswer) -> str:
    only = [f"agent {key.agent_id}"] if key.agent_id else []
    only += [f"user {key.user_id}"] if key.user_id else []
    return f"tenant {key.tenant}" + (f" ({', '.join(only)} only)" if only else "")


def _until(key: wire.KeyAnswer) -> str:
    return "" if key.expires_at is None else f" until {key.expires_at:%Y-%m-%d %H:%M %Z}"


def _safe(text: str) -> str:
    """As it is, unless it could harm a terminal."""
    return text if text.isprintable() else ascii(text)


def _tell_json(told: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
