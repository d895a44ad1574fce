"""The command line: options become settings, what is wrong becomes one line and exit code 2."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent_memory.domain.errors import AgentMemoryError, Misconfigured
from agent_memory.entrypoints.cache_cli import cache
from agent_memory.entrypoints.keys_cli import keys
from agent_memory.entrypoints.logs import configure_logs
from agent_memory.entrypoints.mcp_cli import mcp
from agent_memory.entrypoints.models_cli import calibrate, models
from agent_memory.entrypoints.version import VERSION
from agent_memory.settings import load_settings

if TYPE_CHECKING:  # what serves takes seconds to import, and is imported by who serves
    from agent_memory.bootstrap import Application

cli = typer.Typer(name="agent-memory", help="Memory for AI agents, above and below the prompt.", no_args_is_help=True)
cli.add_typer(cache)
cli.add_typer(keys)
cli.add_typer(models)
cli.command()(calibrate)
cli.command()(mcp)

_OPTION_KEYS = {
    "host": "server.host",
    "port": "server.port",
    "model": "model.id",
    "workers": "server.workers",
    "data_dir": "data_dir",
    "log_level": "server.log_level",
    "allow_unauthenticated": "server.allow_unauthenticated",
}

# What a newcomer may try; the README shows the answers.
_REMEMBER = '{"agent_id": "guide", "user_id": "ada", "content": "Ada moved to Lisbon in spring."}'
_SEARCH = '{"agent_id": "guide", "user_id": "ada", "query": "Where does Ada live?"}'
_CHAT = (
    '{"messages": [{"role": "user", "content": "I live in Lisbon these days."}, '
    '{"role": "assistant", "content": "Good to know."}, {"role": "user", "content": "Where do I live?"}]}'
)


@cli.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [8000]")] = None,
    model: Annotated[str | None, typer.Option(help="Language model: a hub id or a local folder")] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Memories alone, without a language model")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that serve memories; needs --no-model [1]")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where everything is kept [~/.agent_memory]")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR [INFO]")] = None,
    allow_unauthenticated: Annotated[
        bool | None, typer.Option("--allow-unauthenticated", help="Let anybody in who reaches the address")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="A settings file (TOML)")] = None,
) -> None:
    """Start the server. Everything else is set by environment variables or the settings file."""
    given = {
        "host": host, "port": port, "model": model, "workers": workers, "data_dir": data_dir, "log_level": log_level,
        "allow_unauthenticated": allow_unauthenticated,
    }  # fmt: skip
    options: dict[str, tuple[str, object]] = {
        _OPTION_KEYS[name]: (f"--{name.replace('_', '-')}", value) for name, value in given.items() if value is not None
    }
    if no_model:
        options["model.enabled"] = ("--no-model", False)
    try:
        if no_model and model is not None:
            raise Misconfigured(f"--model={model}: cannot be given with --no-model")
        loaded = load_settings(os.environ, options, settings)
        configure_logs(loaded.server.log_level)
        if loaded.server.workers > 1:
            from agent_memory.entrypoints.workers import serve as serve_with_workers

            serve_with_workers(loaded, tell)
        else:
            from agent_memory.entrypoints.serving import serve as serve_forever

            serve_forever(loaded, announce)
    except AgentMemoryError as error:
        typer.echo(f"agent-memory: {error}", err=True)
        raise typer.Exit(2) from None


@cli.command()
def version() -> None:
    """Print the version."""
    typer.echo(VERSION)


def main() -> None:
    cli()


def announce(application: "Application", url: str) -> None:
    from agent_memory.entrypoints.http.neighbours import is_loopback

    width = max(map(len, application.runs_on), default=0)
    lines = ["", f"agent_memory {VERSION} is ready at {url}", ""]
    lines += [f"  {name:<{width}}  {what}" for name, what in application.runs_on.items()]
    server = application.settings.server
    if server.allow_unauthenticated and not is_loopback(server.host):
        lines += ["", "Whoever reaches this address can read and change everything: no key is asked for."]
    lines += ["", "Try it:", "", *_commands(application, url), ""]
    tell("\n".join(lines) + "\n")


def tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _commands(application: "Application", url: str) -> list[str]:
    commands = [f"  curl {url}/v1/memories -d '{_REMEMBER}'", f"  curl {url}/v1/memories/search -d '{_SEARCH}'"]
    if application.conversation is not None:
        commands.append(f"  curl {url}/v1/chat/completions -d '{_CHAT}'")
    return [*commands, f"  open {url}/docs"]


if __name__ == "__main__":
    main()
