"""Names a model folder by the content of its weights, config, tokenizer and chat template.

Hashing gigabytes at every start would cost seconds, so each file's digest is remembered with its size and date.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

_COUNTS = (".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken")


def fingerprint(folder: Path, memory: Path) -> str:
    """Hex SHA-256 over every file that decides what the model computes. `memory` is a file to remember digests in."""
    remembered = _load(memory)
    files = sorted(path for path in folder.iterdir() if path.suffix in _COUNTS)
    digests = {}
    whole = hashlib.sha256()
    for path in files:
        stat = path.stat()
        known = f"{path.resolve()}|{stat.st_ino}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}"
        digests[known] = remembered.get(known) or _digest(path)
        whole.update(f"{path.name}={digests[known]}\n".encode())
    if digests.keys() - remembered.keys():
        _save(memory, remembered | digests)
    return whole.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(memory: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        loaded = json.loads(memory.read_text())
        if isinstance(loaded, dict):
            return {str(key): str(value) for key, value in loaded.items()}
    return {}


def _save(memory: Path, digests: dict[str, str]) -> None:
    with suppress(OSError):  # what cannot be remembered is computed again
        temporary = memory.with_suffix(".tmp")
        temporary.write_text(json.dumps(digests, indent=1))
        temporary.replace(memory)
