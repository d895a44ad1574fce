"""The folder of a model that is ready to run: graph, weights, tokenizer, and the checksums of all three.

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

from agent_memory.adapters import unshared
from agent_memory.adapters.onnx.weights import weights_and_tokenizer
from agent_memory.domain.errors import Misconfigured

NAME = "all-MiniLM-L6-v2"
# Raise it when `graph` builds something else: an installation of another number is made again.
_BUILD = 3
_FILES = ("model.onnx", "weights.bin", "tokenizer.json")
_LARGE = 100_000  # bytes; matrices have more

_log = structlog.get_logger(__name__)


def installed(models_dir: Path) -> Path:
    """The folder of the model; blocks for seconds the first time, or for a download."""
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
    import onnx

    from agent_memory.adapters.onnx.graph import encoder

    weights, tokenizer = weights_and_tokenizer(models_dir)
    _log.info("preparing the embedding model, once", folder=str(folder))
    for leftover in models_dir.glob(f"{NAME}.*"):
        shutil.rmtree(leftover)
    aside = Path(mkdtemp(prefix=f"{NAME}.", dir=models_dir))
    graph = encoder(safetensors.numpy.load(weights), layers=6, heads=12, epsilon=1e-12)
    # In a file of their own they are mapped, not read: of 47 MB that tell what each word means, a run touches a few.
    onnx.save_model(
        graph, aside / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=_LARGE
    )
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
    return {"build": _BUILD, "sha256": {name: _checksum(folder / name) for name in _FILES}}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with unshared.opened(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
