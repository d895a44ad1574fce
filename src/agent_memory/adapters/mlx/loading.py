"""From a folder or hub id to a runtime and its tokenizer. Runs on the thread that will use the model."""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import mlx.core as mx
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from mlx.utils import tree_flatten, tree_map
from mlx_lm import load

from agent_memory.adapters.mlx import BLAS, cpu_linear
from agent_memory.adapters.mlx.blas import ADVICE
from agent_memory.adapters.mlx.caches import forms
from agent_memory.adapters.mlx.chat import MlxChatTokenizer
from agent_memory.adapters.mlx.fingerprint import fingerprint
from agent_memory.adapters.mlx.geometry import hands_on_untouched, read_spec
from agent_memory.adapters.mlx.heap import give_back_memory, touch_memory
from agent_memory.adapters.mlx.runtime import MlxRuntime
from agent_memory.domain.chat import Message
from agent_memory.domain.errors import InvalidInput, Misconfigured
from agent_memory.domain.kv.attention import AttentionChoice
from agent_memory.domain.kv.precision import Precision

_NEEDED = ["*.json", "model*.safetensors", "*.jinja", "*.txt", "*.model", "*.tiktoken"]

log = logging.getLogger(__name__)

_AUTO = AttentionChoice()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    runtime: MlxRuntime
    tokenizer: MlxChatTokenizer
    backend: str
    max_context: int | None


def find_model(name: str) -> Path:
    """The folder of a model that is named by path, or by hub id: from the hub's cache, or downloaded.

    Raises Misconfigured with what was tried.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise Misconfigured(f"model: the folder {folder} has no config.json")
        if not any(folder.glob("model*.safetensors")):
            raise Misconfigured(f"model: the folder {folder} has no model*.safetensors")
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise Misconfigured(f"model: there is no folder {folder}")
    try:
        return Path(snapshot_download(name, allow_patterns=_NEEDED))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise Misconfigured(
            f"model: {name!r} is neither a folder nor to be had from the hub ({type(error).__name__})"
        ) from error


def load_model(folder: Path, precision: Precision, memory: Path, attention: AttentionChoice = _AUTO) -> LoadedModel:
    """`memory` is a folder for what is worth remembering between starts. Raises Misconfigured for what is no model."""
    if _on_cpu():
        Thread(target=touch_memory, args=[attention.budget], name="memory", daemon=True).start()
    try:
        model, tokenizer = load(str(folder))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError) as error:
        raise Misconfigured(f"model: {folder} cannot be loaded: {error}") from error
    _widen(model)
    if _on_cpu():
        cpu_linear.install(model)
    compute = _compute_type(model)
    context = _max_context(folder, model)
    spec = read_spec(model, precision, compute)
    untouched = attention.wanted != "expanded" and hands_on_untouched(model, spec, compute)
    chosen = _limited(attention, context).of(spec, on_cpu=_on_cpu(), untouched=untouched)
    spec = replace(spec, attention=chosen)
    if spec.unpackable:
        log.warning("%s: %s", folder.name, spec)
    name = fingerprint(folder, memory / "fingerprints.json")
    runtime = MlxRuntime(model, name, spec, forms(spec, compute, untouched=untouched))
    return LoadedModel(runtime, _chat(tokenizer), backend(), context)


def _limited(attention: AttentionChoice, context: int | None) -> AttentionChoice:
    """No turn is longer than the model's context, nor than the operator's limit."""
    limits = [limit for limit in (attention.context, context) if limit]
    return replace(attention, context=min(limits, default=0))


def _chat(tokenizer: Any) -> MlxChatTokenizer:
    chat = MlxChatTokenizer(tokenizer)
    try:
        chat.render([Message("user", "Hello.")])
    except InvalidInput as error:
        raise Misconfigured(f"model: its chat template does not work: {error.reason}") from error
    return chat


def release_memory() -> None:
    """Give what is held for later use back to the machine."""
    mx.clear_cache()
    give_back_memory()


def backend() -> str:
    """What computes, in words."""
    if _on_cpu():
        return f"MLX on CPU with {BLAS or ADVICE}"
    return f"MLX on {mx.device_info().get('device_name', 'GPU')}"


def _on_cpu() -> bool:
    return bool(mx.default_device().type == mx.cpu)


def _widen(model: Any) -> None:
    """On a CPU half precision is 25 times as slow as fp32: a model that fits twice over computes in fp32."""
    quantized = any(name.endswith("scales") for name, _ in _flat(model))
    size = sum(array.nbytes for _, array in _flat(model))
    if _on_cpu() and not quantized and size < 4 << 30:
        model.update(
            tree_map(lambda a: a.astype(mx.float32) if a.dtype in (mx.float16, mx.bfloat16) else a, model.parameters())
        )
        mx.eval(model.parameters())


def _flat(model: Any) -> list[tuple[str, mx.array]]:
    flat: Any = tree_flatten(model.parameters())  # typed as a list or a dict, by an argument we do not give
    return list(flat)


def _compute_type(model: Any) -> mx.Dtype:
    """The type of the norms' weights: quantized or not, that is what flows between the layers."""
    types = {array.dtype for name, array in _flat(model) if name.endswith("norm.weight")}
    return next((dtype for dtype in (mx.float32, mx.bfloat16, mx.float16) if dtype in types), mx.float32)


def _max_context(folder: Path, model: Any) -> int | None:
    config = json.loads((folder / "config.json").read_text())
    limit = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
    limit = limit or getattr(getattr(model, "args", None), "max_position_embeddings", None)
    return int(limit) if limit else None
