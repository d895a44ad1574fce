"""The wiring of what is done with a model beside serving it: looking at it, and calibrating it.

It opens no database, and holds no data folder.
"""

import hashlib
import inspect
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from msgspec import structs

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.application.calibration import Calibration, Effort
from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.errors import InvalidInput, Misconfigured
from agent_memory.domain.kv.calibration import Measured, Tolerance, Verdict, judge
from agent_memory.domain.kv.capacity import Cost, LayerGroup, cost, grouped
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.ports.kv import ScoringRuntime
from agent_memory.ports.language import ChatTokenizer
from agent_memory.settings import Machine, ModelPlan, Profile, Settings, plan_model, profiles_of
from agent_memory.settings.own_profiles import FOLDER, calibration_profile, write_own_profile
from agent_memory.settings.profiles import CalibrationProfile, profile_of

LENGTHS = (4096, 8192, 16_384, 32_768)
BITS = (4, "k8v4", 8, 16)
"""Cheapest first."""
_POOL = 1 << 30


def own_profiles(settings: Settings) -> Path:
    return settings.data_folder / FOLDER


@dataclass(frozen=True, slots=True)
class Known:
    """A model that has a profile. `folder` is where its config is on this machine."""

    profile: Profile
    folder: Path | None


@dataclass(frozen=True, slots=True)
class View:
    """A model as `models show` shows it. `budget` is what is left for caches in memory; 0 `weights` are not here."""

    plan: ModelPlan
    profile: Profile
    folder: Path
    weights: int
    budget: int
    layers: tuple[LayerGroup, ...]
    costs: tuple[Cost, ...]


def precisions(plan: ModelPlan) -> list[Precision]:
    """All that are shown and measured, in the model's groups, the cheapest first."""
    return [Precision.of(bits, plan.kv_group_size) for bits in BITS]


def known_models(settings: Settings) -> Iterator[Known]:
    from agent_memory.adapters.mlx.outline import find_config

    for profile in profiles_of(settings):
        named = structs.replace(settings, model=structs.replace(settings.model, id=profile.id))
        yield Known(profile, find_config(plan_model(named, [profile], Machine.this()).source))


def look_at(settings: Settings) -> View:
    """The model of the settings. Raises Misconfigured when not even its config.json is on this machine."""
    from agent_memory.adapters.mlx.outline import find_config, read_outline, weight_bytes

    profiles, machine = profiles_of(settings), Machine.this()
    plan = plan_model(settings, profiles, machine)
    folder = find_config(plan.source)
    if folder is None:
        raise Misconfigured(
            f"model: {plan.id} is not on this machine, and nothing is downloaded to show it; "
            f"`hf download {plan.source} config.json` brings what is needed"
        )
    layers, weights = read_outline(folder), weight_bytes(folder)
    budget = max(0, min(settings.cache.budget_mb << 20, machine.memory - weights))
    spec = CacheSpec(layers, Precision.of(plan.kv_bits, plan.kv_group_size))
    return View(
        plan=plan,
        profile=profile_of(plan.id, profiles),
        folder=folder,
        weights=weights,
        budget=budget,
        layers=grouped(layers),
        costs=tuple(cost(spec, precision, budget, LENGTHS) for precision in precisions(plan)),
    )


@dataclass(frozen=True, slots=True)
class Text:
    """What is read to calibrate. Its name says which text it was, not where it lay."""

    name: str
    content: str

    @classmethod
    def of(cls, file: Path | None) -> "Text":
        if file is None:
            return cls("documentation strings of Python's library", _documentation())
        try:
            content = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"text {file}: cannot be read: {error}") from None
        return cls(f"{file.name}, sha256 {hashlib.sha256(content.encode()).hexdigest()[:16]}", content)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A verdict, and what it was measured on. `model` is the fingerprint."""

    plan: ModelPlan
    model: str
    verdict: Verdict
    text: str

    @property
    def profile(self) -> CalibrationProfile:
        today = datetime.now(UTC).date().isoformat()
        return calibration_profile(self.verdict, today, self.model, self.text)

    def write(self, settings: Settings) -> Path:
        """Into the user's own profile of the model, which the next start reads."""
        return write_own_profile(own_profiles(settings), self.plan.id, self.verdict.chosen, self.profile)


class Workbench:
    """The model of the settings on the bench: loaded anew for each precision, on the calling thread."""

    def __init__(self, settings: Settings) -> None:
        from agent_memory.adapters.mlx.loading import find_model

        self.plan = plan_model(settings, profiles_of(settings), Machine.this())
        self._folder = find_model(self.plan.source)
        self._fingerprint = ""

    def measure(self, text: Text, effort: Effort) -> Iterator[Measured]:
        """Each precision as it is measured, 16 bits first."""
        with tempfile.TemporaryDirectory() as memory:
            tokenizer, _, context = self._load(Precision(bits=16), Path(memory))
            if context and max(effort.window, effort.distance) > context:
                raise InvalidInput("window, distance", f"the model's context is {context} tokens")
            fewer = reversed(precisions(self.plan))

            def open_runtime(precision: Precision) -> ScoringRuntime:
                return self._load(precision, Path(memory))[1]

            yield from Calibration(tokenizer, open_runtime, self._engine).run(text.content, fewer, effort)

    def judge(self, measured: Sequence[Measured], tolerance: Tolerance, text: Text) -> Calibrated:
        return Calibrated(self.plan, self._fingerprint, judge(measured, tolerance), text.name)

    def _load(self, precision: Precision, memory: Path) -> tuple[ChatTokenizer, ScoringRuntime, int | None]:
        from agent_memory.adapters.mlx.loading import load_model

        loaded = load_model(self._folder, precision, memory)
        self._fingerprint = loaded.runtime.fingerprint
        return loaded.tokenizer, loaded.runtime, loaded.max_context

    def _engine(self, runtime: ScoringRuntime) -> Engine:
        """Everything in memory: what is asked is what precision costs, not what a disk does."""
        store, spec = InMemoryBlockStore(_POOL), runtime.spec
        scheduler = Scheduler(spec, Ledger(spec, _POOL), chunk=self.plan.prefill_chunk)
        return Engine(runtime, TieredBlocks(store, WriteBehind(store, lambda: None)), scheduler)


def _documentation() -> str:
    """English prose that lies on every machine and is nobody's secret."""
    names = ("argparse", "collections", "datetime", "decimal", "fractions", "functools", "heapq", "json", "logging")
    more = ("pathlib", "random", "statistics", "string", "subprocess", "textwrap", "unittest", "zipfile")
    modules = [import_module(name) for name in (*names, *more)]
    values = [value for module in modules for name, value in sorted(vars(module).items()) if not name.startswith("_")]
    documents = dict.fromkeys(inspect.getdoc(value) or "" for value in values)
    return "\n\n".join(document for document in documents if len(document) > 120)
