"""The folder of a model that is ready to run: graph, tokenizer, and the checksums of both.

It is made once, by whichever process comes first, aside and renamed; a damaged one is made again.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import safetensors.numpy
import structlog

from agent_memory.adapters.onnx.weights import weights_and_tokenizer
from agent_memory.domain.errors import Misconfigured

NAME = "all-MiniLM-L6-v2"
# Raise it when `graph` builds something else: an installation of another number is made again.
_BUILD = 2

_log = structlog.get_logger(__name__)


def installed(models_dir: Path) -> Path:
    """The folder with model.onnx and tokenizer.json; blocks for seconds the first time, or for a download."""
    models_dir = models_dir.expanduser().absolute()
    folder = models_dir / NAME
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with _alone(models_dir / "lock"):
            if not _is_sound(folder):
                _install(models_dir, folder)
    except OSError as error:
        raise Misconfigured(f"no embedding model can be kept in {models_dir}: {error}") from error
    return folder


def _install(models_dir: Path, folder: Path) -> None:
    # The graph's builder is heavy to import, and is needed this once.
    from agent_memory.adapters.onnx.graph import encoder

    weights, tokenizer = weights_and_tokenizer(models_dir)
    _log.info("preparing the embedding model, once", folder=str(folder))
    for leftover in models_dir.glob(f"{NAME}.*"):
        shutil.rmtree(leftover)
    aside = Path(mkdtemp(prefix=f"{NAME}.", dir=models_dir))
    graph = encoder(safetensors.numpy.load(weights), layers=6, heads=12, epsilon=1e-12)
    (aside / "model.onnx").write_bytes(graph)
    (aside / "tokenizer.json").write_bytes(tokenizer)
    (aside / "manifest.json").write_text(json.dumps(_manifest(aside)))
    if folder.exists():
        shutil.rmtree(folder)
    aside.rename(folder)


def _is_sound(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "manifest.json").read_text()) == _manifest(folder))
    except (OSError, ValueError):
        return False


def _manifest(folder: Path) -> dict[str, object]:
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.onnx", "tokenizer.json")
    }
    return {"build": _BUILD, "sha256": files}


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
