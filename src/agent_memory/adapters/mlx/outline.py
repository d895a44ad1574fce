"""What can be known of a model without its weights: the geometry of its cache, from config.json alone, and the size of
the files. Downloads nothing.
"""

from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from mlx_lm.utils import _get_classes, load_config

from agent_memory.adapters.mlx.geometry import read_layers
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.spec import Layer


def find_config(name: str) -> Path | None:
    """The folder with the config.json of a model named by path or by hub id; None when it is not on this machine."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder if (folder / "config.json").is_file() else None
    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(cached).parent if isinstance(cached, str) else None


def read_outline(folder: Path) -> tuple[Layer, ...]:
    """Builds the model around weights that are never made, and asks it for its caches. Raises Misconfigured for what
    is no model, or none whose caches can be kept.
    """
    try:
        config = load_config(folder)
        model_class, arguments = _get_classes(config)
        model = model_class(arguments.from_dict(config))
        return read_layers(model)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise Misconfigured(f"model: {folder / 'config.json'} describes none that can be built: {error}") from error


def weight_bytes(folder: Path) -> int:
    """0 when the weights are not there."""
    return sum(path.stat().st_size for path in folder.glob("model*.safetensors"))
