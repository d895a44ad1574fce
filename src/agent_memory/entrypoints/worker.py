"""One of several processes that serve memories: `workers` starts it and tells it what to do."""

import os
import socket
import sys

import msgspec

from agent_memory.bootstrap import Application
from agent_memory.domain.errors import AgentMemoryError
from agent_memory.entrypoints.cli import announce
from agent_memory.entrypoints.logs import configure_logs
from agent_memory.entrypoints.serving import serve_as_worker
from agent_memory.entrypoints.workers import REFUSED, Orders


def main() -> None:
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    configure_logs(orders.settings.server.log_level)
    with socket.socket(fileno=orders.socket) as sock:
        try:
            serve_as_worker(orders.settings, orders.conninfo, orders.token, sock, announce_once)
        except AgentMemoryError as error:
            sys.stdout.write(str(error))
            sys.stdout.flush()
            sys.exit(REFUSED)


def announce_once(application: Application, url: str) -> None:
    """That nothing more will follow is how `workers` knows that we listen."""
    announce(application, url)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
