"""Whether settings can work: what each field may be, and what no single field can say."""

import re
from collections.abc import Callable
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec

from agent_memory.domain.errors import Misconfigured
from agent_memory.settings.sections import Settings

SECRET = ("database.url", "cache.encryption_key", "server.admin_key")  # or may hold one: no message repeats them


def checked(settings: Settings) -> Settings:
    """Settings that were made in code, held to what those of a file and of the environment are. Raises Misconfigured,
    which names the key.
    """
    try:
        same = msgspec.convert(msgspec.to_builtins(settings, enc_hook=str), Settings)
    except msgspec.ValidationError as error:
        key, reason = fault_of(str(error))
        raise Misconfigured(f"{_given(settings, key)}: {reason}") from None
    check_together(same, lambda key: key)
    return same


def fault_of(complaint: str) -> tuple[str, str]:
    """The key that a complaint of msgspec's is about, and what is wrong with it."""
    reason, _, path = complaint.partition(" - at `$")
    key = re.sub(r"\[.*", "", path.strip(".`"))
    if reason.startswith("Invalid enum value"):
        return key, f"must be one of {_choices(key)}"
    return key, f"{reason[:1].lower()}{reason[1:].replace('`', '')}"


def check_together(settings: Settings, named: Callable[[str], str]) -> None:
    """What no single field can say. `named` is what a message calls a key."""
    database = settings.database
    if database.min_pool_size > database.max_pool_size:
        least, most = named("database.min_pool_size"), named("database.max_pool_size")
        raise Misconfigured(f"{least}={database.min_pool_size}: must not exceed {most}={database.max_pool_size}")
    memory = settings.memory
    if memory.summarization_batch_size > memory.summarization_threshold:
        batch, threshold = named("memory.summarization_batch_size"), named("memory.summarization_threshold")
        told = f"{batch}={memory.summarization_batch_size}: must not exceed {threshold}"
        raise Misconfigured(f"{told}={memory.summarization_threshold}")
    if settings.server.workers > 1 and settings.model.enabled:
        raise Misconfigured(
            f"{named('server.workers')}={settings.server.workers}: a language model and its KV cache belong to one "
            "process: give --no-model as well, or leave it at 1"
        )
    _ = settings.cache.encryption  # its form is checked when it is read
    if not settings.data_dir.strip():
        raise Misconfigured(f"{named('data_dir')}: must not be empty")


def _given(settings: Settings, key: str) -> str:
    if key in SECRET or not key:
        return key or "settings"
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name, None)
    return key if value is None else f"{key}={value!r}"[:100]


def _choices(key: str) -> str:
    section, _, name = key.rpartition(".")
    hint = get_type_hints(get_type_hints(Settings)[section])[name]
    literals = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
    return ", ".join(str(value) for literal in literals for value in get_args(literal))
