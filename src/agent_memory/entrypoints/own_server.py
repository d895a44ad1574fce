"""Asking the server that owns a data folder, from the command line on the same machine."""

from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from agent_memory.domain.errors import AgentMemoryError, Unavailable

_OPENER = build_opener(ProxyHandler({}))  # the server is on this machine, whatever proxy the environment names
_PATIENCE = 600.0  # seconds, for what reads or writes many files


def asked(url: str, method: str, path: str, headers: Mapping[str, str], body: bytes | BinaryIO | None = None) -> Any:
    """Its answer, open. Raises AgentMemoryError with what the server says is wrong, Unavailable where there is none."""
    request = Request(url + path, data=body, method=method, headers=dict(headers))  # noqa: S310 - our own server's
    if body is not None and not isinstance(body, bytes):
        request.add_header("Content-Length", str(body.seek(0, 2)))
        body.seek(0)
    try:
        return _OPENER.open(request, timeout=_PATIENCE)
    except HTTPError as error:
        raise AgentMemoryError(_detail(error)) from None
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(f"the server that owns the data folder does not answer at {url}: {reason}") from None


def _detail(error: HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the server answered {error.code} {error.reason}"
