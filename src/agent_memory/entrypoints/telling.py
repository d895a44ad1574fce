"""What is wrong becomes one line on the error stream and exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from agent_memory.domain.errors import AgentMemoryError


@contextmanager
def complaints() -> Iterator[None]:
    try:
        yield
    except AgentMemoryError as error:
        typer.echo(f"agent-memory: {error}", err=True)
        raise typer.Exit(2) from None
