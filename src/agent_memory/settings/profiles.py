"""What is known to suit a model: one TOML file each, in `config/models/`, and the plan that follows from it.

A setting wins over a profile, a profile over the defaults here. Of two profiles of a model the user's own wins, table
by table; calibration writes it. Nothing is loaded or downloaded.
"""

import os
import platform
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from agent_memory.domain.errors import Misconfigured
from agent_memory.settings.sections import KvAttention, KvBits, Settings

SMALL_MODEL = "agent-memory-small"
LARGE_MODEL = "mlx-community/gemma-3-12b-it-4bit"
_LARGE_NEEDS = 16 * 2**30


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class CacheProfile(_Table, frozen=True):
    bits: KvBits = 4
    group_size: Literal[32, 64, 128] = 64
    attention: KvAttention = "auto"


class SamplingProfile(_Table, frozen=True):
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    source: str = "the defaults of the OpenAI API"


class PrefillProfile(_Table, frozen=True):
    chunk: Annotated[int, Meta(ge=16, le=16_384)] = 512


class MeasuredProfile(_Table, frozen=True):
    """One precision, as calibration found it. `perplexity_change` is in percent of that at 16 bits."""

    precision: str
    token_bytes: Annotated[int, Meta(gt=0)]
    perplexity: Annotated[float, Meta(gt=0)]
    perplexity_change: float
    agreement: Annotated[float, Meta(ge=0, le=1)]
    recall: Annotated[float, Meta(ge=0, le=1)]


class CalibrationProfile(_Table, frozen=True):
    """The figures behind `cache`, and what they were measured with. `model` is the fingerprint of its folder."""

    date: str
    model: str
    text: str
    text_tokens: Annotated[int, Meta(gt=0)]
    questions: Annotated[int, Meta(ge=0)]
    perplexity_tolerance: Annotated[float, Meta(ge=0)]
    points_tolerance: Annotated[float, Meta(ge=0)]
    measured: tuple[MeasuredProfile, ...] = ()


class Profile(_Table, frozen=True):
    """`id` is a hub id or a folder name; only its last part counts, so a local copy keeps its profile. `also` are
    other builds of the model that it holds for.
    """

    id: Annotated[str, Meta(min_length=1)]
    also: tuple[str, ...] = ()
    about: str = ""
    cache: CacheProfile = CacheProfile()
    sampling: SamplingProfile = SamplingProfile()
    prefill: PrefillProfile = PrefillProfile()
    calibration: CalibrationProfile | None = None

    def holds_for(self, name: str) -> bool:
        return last_part(name) in map(last_part, (self.id, *self.also))


@dataclass(frozen=True, slots=True)
class Machine:
    """As much of the computer as the choice of a model depends on."""

    apple_silicon: bool
    memory: int

    @classmethod
    def this(cls) -> "Machine":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(platform.system() == "Darwin" and platform.machine() == "arm64", memory)


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Everything decided about the model before it is loaded. `source`: a hub id, or a folder's path."""

    id: str
    source: str
    kv_bits: KvBits
    kv_group_size: int
    kv_attention: KvAttention
    prefill_chunk: int
    max_context_length: int | None
    temperature: float
    top_p: float
    max_tokens: int


def load_profiles(folder: Traversable | None = None, own: Path | None = None) -> tuple[Profile, ...]:
    """`own` is the folder of the user's profiles, which may be missing. Raises Misconfigured for one that is wrong."""
    house = _read_all(folder or _profiles_folder())
    known = [profile for profile, _ in house]
    if own is None or not own.is_dir():
        return tuple(known)
    tables = {profile.id: table for profile, table in house}
    mine = [
        msgspec.convert(tables.get(profile_of(profile.id, known).id, {}) | {"also": ()} | table, Profile)
        for profile, table in _read_all(own)
    ]
    own_ids = {last_part(profile.id) for profile in mine}
    return (*mine, *(profile for profile in known if last_part(profile.id) not in own_ids))


def plan_model(settings: Settings, profiles: Sequence[Profile], machine: Machine) -> ModelPlan:
    model, cache = settings.model, settings.cache
    name, source = _choose(model.id, machine)
    profile = profile_of(name, profiles)
    return ModelPlan(
        id=name,
        source=source,
        kv_bits=cache.kv_bits or profile.cache.bits,
        kv_group_size=cache.kv_group_size or profile.cache.group_size,
        kv_attention=cache.kv_attention or profile.cache.attention,
        prefill_chunk=model.prefill_step_size or profile.prefill.chunk,
        max_context_length=model.max_context_length,
        temperature=_first(model.default_temperature, profile.sampling.temperature),
        top_p=profile.sampling.top_p,
        max_tokens=model.default_max_tokens,
    )


def profile_of(name: str, profiles: Sequence[Profile]) -> Profile:
    """The first that bears the name, or holds for it also; defaults for a model that nobody described."""
    named = (profile for profile in profiles if last_part(profile.id) == last_part(name))
    return next(named, None) or next((p for p in profiles if p.holds_for(name)), Profile(id=name))


def last_part(name: str) -> str:
    """What a model is known by: its folder's name, or its name on the hub without the maker."""
    return name.rstrip("/").rsplit("/", 1)[-1].lower()


def _choose(wanted: str | None, machine: Machine) -> tuple[str, str]:
    """The name that clients see, and where the model is."""
    if wanted is None:
        large = machine.apple_silicon and machine.memory >= _LARGE_NEEDS
        return (LARGE_MODEL, LARGE_MODEL) if large else (SMALL_MODEL, _small_model_folder())
    if wanted == SMALL_MODEL:
        return SMALL_MODEL, _small_model_folder()
    path = Path(wanted).expanduser()
    if path.is_dir():
        return path.resolve().name, str(path.resolve())
    if wanted.startswith(("/", ".", "~")) or wanted.count("/") != 1 or path.exists():
        raise Misconfigured(f"no model folder at {wanted} (give a folder, or a hub id like {LARGE_MODEL})")
    return wanted, wanted


def _small_model_folder() -> str:
    return str(files("agent_memory") / "small_model")


def _profiles_folder() -> Traversable:
    """In an installed package they lie inside it; in a checkout, beside `src`."""
    packaged = files("agent_memory") / "config" / "models"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "config" / "models"


def _read_all(folder: Traversable) -> list[tuple[Profile, dict[str, object]]]:
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return [_read(file) for file in found]


def _read(file: Traversable) -> tuple[Profile, dict[str, object]]:
    try:
        table = tomllib.loads(file.read_text("utf-8"))
        return msgspec.convert(table, Profile), table
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Misconfigured(f"model profile {file.name}: {error}") from None


def _first(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given
