"""From a settings file, the environment and the command line to one `Settings`; the later wins.

Every fault is a `Misconfigured` that names the variable, option or key it came from.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from agent_memory.domain.errors import Misconfigured
from agent_memory.settings.checking import SECRET, check_together, fault_of
from agent_memory.settings.sections import Settings

SETTINGS_FILE = "AGENT_MEMORY_SETTINGS"

VARIABLES: Mapping[str, str] = {
    "AGENT_MEMORY_DATA_DIR": "data_dir",
    "AGENT_MEMORY_DISK_BUDGET_MB": "cache.disk_budget_mb",
    "SEMANTIC_MLX_ENABLED": "model.enabled",
    "AGENT_MEMORY_DISK_DAILY_WRITE_MB": "cache.disk_daily_write_mb",
    "AGENT_MEMORY_ENCRYPTION_KEY": "cache.encryption_key",
    "AGENT_MEMORY_STEADY_PROMPTS": "cache.steady_prompts",
    "SEMANTIC_MLX_MODEL_ID": "model.id",
    "SEMANTIC_MLX_MAX_CONTEXT_LENGTH": "model.max_context_length",
    "SEMANTIC_MLX_MAX_BATCH_SIZE": "model.max_batch_size",
    "SEMANTIC_MLX_SCHEDULER_ENABLED": "model.scheduler_enabled",
    "SEMANTIC_MLX_MAX_STALL_MS": "model.max_stall_ms",
    "SEMANTIC_MLX_PREFILL_STEP_SIZE": "model.prefill_step_size",
    "SEMANTIC_MLX_DEFAULT_MAX_TOKENS": "model.default_max_tokens",
    "SEMANTIC_MLX_DEFAULT_TEMPERATURE": "model.default_temperature",
    "SEMANTIC_MLX_KV_BITS": "cache.kv_bits",
    "SEMANTIC_MLX_KV_GROUP_SIZE": "cache.kv_group_size",
    "SEMANTIC_MLX_KV_ATTENTION": "cache.kv_attention",
    "SEMANTIC_MLX_CACHE_BUDGET_MB": "cache.budget_mb",
    "SEMANTIC_ADMIN_KEY": "server.admin_key",
    "SEMANTIC_SERVER_HOST": "server.host",
    "SEMANTIC_SERVER_PORT": "server.port",
    "SEMANTIC_SERVER_WORKERS": "server.workers",
    "SEMANTIC_SERVER_LOG_LEVEL": "server.log_level",
    "SEMANTIC_SERVER_CORS_ORIGINS": "server.cors_origins",
    "SEMANTIC_SERVER_ALLOWED_HOSTS": "server.allowed_hosts",
    "SEMANTIC_SERVER_ALLOW_UNAUTHENTICATED": "server.allow_unauthenticated",
    "SEMANTIC_SERVER_MAX_BODY_MB": "server.max_body_mb",
    "SEMANTIC_SERVER_REQUEST_SECONDS": "server.request_seconds",
    "SEMANTIC_SERVER_SHUTDOWN_SECONDS": "server.shutdown_seconds",
    "DATABASE_URL": "database.url",
    "DB_MIN_POOL_SIZE": "database.min_pool_size",
    "DB_MAX_POOL_SIZE": "database.max_pool_size",
    "DB_COMMAND_TIMEOUT": "database.command_timeout",
    "DB_VECTOR_INDEX": "database.vector_index",
    "EMBEDDING_MODEL": "memory.embedding_model",
    "SEARCH_CACHE_MB": "memory.search_cache_mb",
    "RECENCY_DECAY_DAYS": "memory.recency_decay_days",
    "FADE_AFTER_DAYS": "memory.fade_after_days",
    "RATE_LIMIT_WRITES_PER_MINUTE": "memory.rate_limit_writes_per_minute",
    "RATE_LIMIT_SEARCHES_PER_MINUTE": "memory.rate_limit_searches_per_minute",
    "SUMMARIZATION_ENABLED": "memory.summarization_enabled",
    "SUMMARIZATION_BY_MODEL": "memory.summarization_by_model",
    "SUMMARIZATION_THRESHOLD": "memory.summarization_threshold",
    "SUMMARIZATION_BATCH_SIZE": "memory.summarization_batch_size",
    "SUMMARIZATION_INTERVAL_SECONDS": "memory.summarization_interval_seconds",
}
"""Environment variable -> the key it sets."""

_OURS = ("SEMANTIC_", "AGENT_MEMORY_")
_OTHERS = ("SEMANTIC_SCHOLAR_", "SEMANTIC_KERNEL_", "SEMANTIC_RELEASE_")  # programs whose names begin like ours
_SHARED = ("RATE_LIMIT_", "SUMMARIZATION_", "SEARCH_", "RECENCY_", "FADE_")  # another program may have some, too
_MISSPELT = 0.8  # as alike as a name and the one that was meant are, behind what they have in common
_NAMES = {key: variable for variable, key in VARIABLES.items()}


def load_settings(
    environ: Mapping[str, str],
    options: Mapping[str, tuple[str, object]] | None = None,
    file: Path | None = None,
) -> Settings:
    """`options`: key -> (the option, its value). `file` wins over the variable that names a file."""
    tree = _Tree()
    named = file or (Path(environ[SETTINGS_FILE]) if environ.get(SETTINGS_FILE) else None)
    if named is not None:
        tree.add_file(named.expanduser())
    _refuse_unknown(environ)
    for variable, key in VARIABLES.items():
        if variable in environ:
            tree.put(key, environ[variable].strip(), variable)
    for key, (option, value) in (options or {}).items():
        tree.put(key, value, option)
    settings = tree.settings()
    check_together(settings, _NAMES.__getitem__)
    return settings


class _Tree:
    """Values as they were given, and who gave each."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._givers: dict[str, str] = {}
        self._file = ""

    def add_file(self, path: Path) -> None:
        self._file = str(path)
        try:
            self._values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"settings file {path}: cannot be read: {error}") from None
        except tomllib.TOMLDecodeError as error:
            raise Misconfigured(f"settings file {path}: not valid TOML: {error}") from None

    def put(self, key: str, value: object, giver: str) -> None:
        section, _, name = key.rpartition(".")
        at = self._values.setdefault(section, {}) if section else self._values
        if not isinstance(at, dict):
            raise Misconfigured(f"{section} in {self._file}: must be a table")
        at[name] = _as_written(key, value)
        self._givers[key] = giver if key in SECRET else f"{giver}={value}"

    def settings(self) -> Settings:
        try:
            return msgspec.convert(self._values, Settings, strict=False)
        except msgspec.ValidationError as error:
            raise Misconfigured(self._blame(str(error))) from None

    def _blame(self, complaint: str) -> str:
        key, reason = fault_of(complaint)
        unknown = re.fullmatch(r"object contains unknown field (.*)", reason)
        if unknown is not None:
            full = f"{key}.{unknown[1]}".lstrip(".")
            return f"settings file {self._file}: unknown key {full}{_similar(full, set(VARIABLES.values()))}"
        giver = self._givers.get(key) or f"{key} in settings file {self._file}"
        return f"{giver}: {reason}"


def _as_written(key: str, value: object) -> object:
    """A list is written with commas, a word of a few in any case."""
    if key in {"server.cors_origins", "server.allowed_hosts"}:
        return [part.strip() for part in str(value).split(",") if part.strip()]
    if key in {"cache.kv_bits", "cache.kv_attention"}:
        return str(value).lower()
    return str(value).upper() if key == "server.log_level" else value


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {*VARIABLES, SETTINGS_FILE}
    for name in sorted(environ.keys() - known):
        if (name.startswith(_OURS) and not name.startswith(_OTHERS)) or _is_misspelt(name):
            raise Misconfigured(f"unknown setting {name} in the environment{_similar(name, known)}")


def _is_misspelt(name: str) -> bool:
    return any(
        difflib.get_close_matches(name[len(shared) :], _behind(shared), n=1, cutoff=_MISSPELT)
        for shared in _SHARED
        if name.startswith(shared)
    )


def _behind(shared: str) -> list[str]:
    return [known[len(shared) :] for known in VARIABLES if known.startswith(shared)]


def _similar(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
