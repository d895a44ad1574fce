"""The user's own profiles: what calibration found, written where `load_profiles` finds it. Packaged files stay as they
are, so an update of the package brings new ones and keeps these.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.calibration import Verdict
from agent_memory.domain.kv.precision import Precision
from agent_memory.settings.profiles import CalibrationProfile, MeasuredProfile, Profile, last_part, load_profiles
from agent_memory.settings.sections import Settings

FOLDER = "profiles"
"""Under the data directory."""


def profiles_of(settings: Settings) -> tuple[Profile, ...]:
    """The user's own and the packaged ones. Raises Misconfigured for one that is wrong."""
    return load_profiles(own=settings.data_folder / FOLDER)


def calibration_profile(verdict: Verdict, date: str, model: str, text: str) -> CalibrationProfile:
    """`model` is the fingerprint, `text` the name of what was read."""
    return CalibrationProfile(
        date=date,
        model=model,
        text=text,
        text_tokens=verdict.measured[0].tokens,
        questions=verdict.measured[0].questions,
        perplexity_tolerance=verdict.tolerance.perplexity,
        points_tolerance=verdict.tolerance.points,
        measured=tuple(
            MeasuredProfile(
                precision=str(one.precision),
                token_bytes=one.token_bytes,
                perplexity=round(one.perplexity, 4),
                perplexity_change=round(verdict.perplexity_change(one), 3),
                agreement=round(one.agreement, 5),
                recall=round(one.recall, 4),
            )
            for one in verdict.measured
        ),
    )


def write_own_profile(folder: Path, model: str, chosen: Precision, calibration: CalibrationProfile) -> Path:
    """Replaces the model's own profile, whole or not at all. Raises Misconfigured when it cannot be written."""
    path = folder / f"{last_part(model)}.toml"
    tables: dict[str, object] = {"cache": cache_table(chosen), "calibration": msgspec.to_builtins(calibration)}
    text = "# Written by `agent-memory calibrate`; wins over the profile that comes with the package.\n"
    text += "\n".join(_lines({"id": model, **tables})) + "\n"
    temporary = path.with_suffix(".tmp")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise Misconfigured(f"profile {path}: cannot be written: {error.strerror}") from error
    return path


def cache_table(precision: Precision) -> dict[str, object]:
    alike = precision.bits == precision.value_bits
    return {"bits": precision.bits if alike else str(precision), "group_size": precision.group_size}


def _lines(table: dict[str, object], path: str = "") -> Iterator[str]:
    """TOML. Numbers and strings are written as in JSON, which for what stands in a profile is the same."""
    for key, value in table.items():
        if not isinstance(value, dict | list | tuple):
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in table.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            yield from ("", f"[{name}]", *_lines(value, f"{name}."))
        elif isinstance(value, list | tuple):
            for one in value:
                yield from ("", f"[[{name}]]", *_lines(one, f"{name}."))
