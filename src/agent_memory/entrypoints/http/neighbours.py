"""Whose pages a browser may ask us from, and under which names we answer: against pages that make a name of their own
lead to this machine, and against those that send requests to others' servers.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from litestar.exceptions import HTTPException
from litestar.types import HTTPScope

from agent_memory.settings import ServerSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


class WrongHost(HTTPException):
    status_code = 421


class ForeignOrigin(HTTPException):
    status_code = 403


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def hosts_of(server: ServerSettings) -> frozenset[str] | None:
    """Under which names the server answers; None: under any. On loopback only its own names are, so that no name that
    somebody else's page made up leads here; elsewhere the operator may say which.
    """
    named = frozenset(host.lower() for host in server.allowed_hosts)
    if "*" in named or not (named or is_loopback(server.host)):
        return None
    bound = f"[{server.host}]" if ":" in server.host else server.host.lower()
    return named | _LOOPBACK | {bound}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`hosts` are those of `hosts_of`; `is_allowed` says which foreign origins are."""

    hosts: Collection[str] | None
    is_allowed: Callable[[str], bool]

    def admit(self, scope: HTTPScope) -> None:
        """Raises WrongHost or ForeignOrigin. Who is no browser sends no origin."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in {b"host", b"origin"}}
        host, origin = headers.get(b"host", "").lower(), headers.get(b"origin")
        if self.hosts is not None and host and _name_of(host) not in self.hosts:
            raise WrongHost(f"this server does not answer as {host[:100]!r}; SEMANTIC_SERVER_ALLOWED_HOSTS adds names")
        if origin is not None and not self.is_allowed(origin) and not self._is_here(origin, host):
            raise ForeignOrigin(
                f"pages of {origin[:100]!r} may not ask this server; SEMANTIC_SERVER_CORS_ORIGINS lets them"
            )

    def _is_here(self, origin: str, host: str) -> bool:
        """Of this host, whatever the port; on loopback, of this machine."""
        try:
            theirs = urlsplit(origin).hostname
            ours = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return bool(theirs) and (theirs == ours or (self.hosts is not None and is_loopback(str(theirs))))


def _name_of(host: str) -> str:
    """Without the port, and without the dot that ends a whole name."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).rstrip(".")
