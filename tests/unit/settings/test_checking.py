"""Settings that were made in code keep the limits of those that are read."""

from pathlib import Path

import pytest

from agent_memory.domain.errors import Misconfigured
from agent_memory.settings import (
    CacheSettings,
    DatabaseSettings,
    MemorySettings,
    ModelSettings,
    ServerSettings,
    Settings,
    checked,
)


def test_what_can_work_is_given_back_as_it_is():
    for settings in (Settings(), Settings(data_dir="x", memory=MemorySettings(fade_after_days=3))):
        assert checked(settings) == settings


def test_a_path_and_a_table_are_read_as_what_they_say():
    settings = checked(Settings(data_dir=Path("x"), memory={"search_cache_mb": 1}))
    assert settings == Settings(data_dir="x", memory=MemorySettings(search_cache_mb=1))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(memory=MemorySettings(recency_decay_days=0)), "memory.recency_decay_days=0: expected float >= 0.001"),
        (
            Settings(memory=MemorySettings(recency_decay_days=-5)),
            "memory.recency_decay_days=-5: expected float >= 0.001",
        ),
        (
            Settings(memory=MemorySettings(recency_decay_days=1e-12)),
            "recency_decay_days=1e-12: expected float >= 0.001",
        ),
        (Settings(database=DatabaseSettings(command_timeout=0.0004)), "timeout=0.0004: expected float >= 0.001"),
        (Settings(database=DatabaseSettings(vector_index="hsnw")), "vector_index='hsnw': must be one of hnsw, ivfflat"),
        (Settings(data_dir=""), "data_dir: must not be empty"),
        (Settings(data_dir=" "), "data_dir: must not be empty"),
        (Settings(data_dir=None), "data_dir: expected str, got null"),
        (Settings(server=ServerSettings(port="80")), "server.port='80': expected int, got str"),
        (Settings(server=ServerSettings(cors_origins=(5,))), r"server.cors_origins=\(5,\): expected str, got int"),
        (Settings(memory=None), "memory: expected object, got null"),
        (Settings(memory={"cache": 1}), "memory={'cache': 1}: object contains unknown field cache"),
        (
            Settings(database=DatabaseSettings(min_pool_size=30, max_pool_size=4)),
            "database.min_pool_size=30: must not exceed database.max_pool_size=4",
        ),
        (
            Settings(memory=MemorySettings(summarization_threshold=5)),
            "memory.summarization_batch_size=50: must not exceed memory.summarization_threshold=5",
        ),
        (
            Settings(server=ServerSettings(workers=2), model=ModelSettings(enabled=True)),
            "server.workers=2: a language model",
        ),
        (Settings(cache=CacheSettings(encryption_key="c2hvcnQ=")), "must be 32 bytes .* these are 5 bytes"),
        ("x", "settings: expected object, got str"),
    ],
)
def test_what_cannot_work_is_named_with_its_limit(settings, told):
    with pytest.raises(Misconfigured, match=told):
        checked(settings)


def test_no_message_repeats_a_secret():
    with pytest.raises(Misconfigured, match=r"^database.url: expected str matching regex") as told:
        checked(Settings(database=DatabaseSettings(url="mysql://user:secret@host")))
    assert "secret" not in str(told.value)
