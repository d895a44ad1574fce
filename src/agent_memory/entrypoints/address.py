"""Where the server of a data folder is found: it leaves its URL there, for the command line."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = "server.json"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - where it listens, not what we bind


@contextmanager
def left_in(folder: Path, url: str) -> Iterator[None]:
    """The address is there until the context ends. Only this user can read it."""
    for anywhere, here in _ANYWHERE.items():
        url = url.replace(f"//{anywhere}:", f"//{here}:")
    file = folder / _FILE
    temporary = file.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    temporary.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def found_in(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / _FILE).read_text())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
