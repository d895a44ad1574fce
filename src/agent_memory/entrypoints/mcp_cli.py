"""`agent-memory mcp`: memories as an MCP server, without a language model."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent_memory.domain.errors import Misconfigured
from agent_memory.entrypoints.logs import configure_logs
from agent_memory.entrypoints.mcp import PATH
from agent_memory.entrypoints.telling import complaints
from agent_memory.settings import load_settings


class Transport(StrEnum):
    STDIO = "stdio"
    HTTP = "http"


def mcp(
    *,
    transport: Annotated[Transport, typer.Option(help="How the client reaches it")] = Transport.STDIO,
    host: Annotated[str | None, typer.Option(help="With http: address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="With http: port to listen on [8001]")] = None,
    agent: Annotated[str | None, typer.Option(help="With stdio: whose memory it is, so that no call says")] = None,
    user: Annotated[str | None, typer.Option(help="With stdio: whom it is about, so that no call says")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where everything is kept [~/.agent_memory]")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR [INFO]")] = None,
    settings: Annotated[Path | None, typer.Option(help="A settings file (TOML)")] = None,
) -> None:
    """Serve memories by the Model Context Protocol, to Claude and other clients. No language model is loaded."""
    with complaints():
        _refuse_misplaced(transport, {"--host": host, "--port": port}, {"--agent": agent, "--user": user})
        given = {
            "server.host": ("--host", host),
            "server.port": ("--port", 8001 if port is None else port),
            "server.workers": ("--transport", 1),
            "model.enabled": ("--transport", False),
            "data_dir": ("--data-dir", data_dir),
            "server.log_level": ("--log-level", log_level),
        }
        options = {key: (option, value) for key, (option, value) in given.items() if value is not None}
        loaded = load_settings(os.environ, options, settings)
        configure_logs(loaded.server.log_level)
        if transport is Transport.HTTP:
            from agent_memory.entrypoints.serving import serve

            serve(loaded, _announce, beside=True)
        else:
            from agent_memory.entrypoints.mcp.stdio import serve_stdio

            serve_stdio(loaded, agent, user)


def _refuse_misplaced(
    transport: Transport, of_http: dict[str, object | None], of_stdio: dict[str, object | None]
) -> None:
    misplaced = of_stdio if transport is Transport.HTTP else of_http
    for option, value in misplaced.items():
        if value is not None:
            where = f"; over HTTP the address says it: {PATH}/AGENT/USER" if transport is Transport.HTTP else ""
            raise Misconfigured(f"{option}={value}: cannot be given with --transport {transport}{where}")


def _announce(_application: object, url: str) -> None:
    typer.echo(f"agent_memory speaks MCP at {url}{PATH}, or for one agent and user at {url}{PATH}/AGENT/USER")
