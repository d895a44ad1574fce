"""Where the server of a data folder is found: it leaves its URL there, and a key of this run, for the command line.

Whoever can read the file can read the folder, and so everything; no one else can.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_FILE = "server.json"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - where it listens, not what we bind


class Address(NamedTuple):
    url: str
    token: str


def new_token() -> str:
    return secrets.token_urlsafe(32)


@contextmanager
def left_in(folder: Path, url: str, token: str) -> Iterator[None]:
    """The address is there until the context ends. Only this user can read it."""
    for anywhere, here in _ANYWHERE.items():
        url = url.replace(f"//{anywhere}:", f"//{here}:")
    file = folder / _FILE
    temporary = file.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps({"url": url, "token": token, "pid": os.getpid()}))
    temporary.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def found_in(folder: Path) -> Address | None:
    try:
        told = json.loads((folder / _FILE).read_text())
        return Address(str(told["url"]), str(told.get("token", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
