"""The settings, section by section, as a settings file holds them: types, limits and defaults.

Where a default is None, something better informed decides: the model's profile, or the machine.
"""

import base64
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent_memory.domain.errors import Misconfigured

KvBits = Literal[4, 8, 16, "k4v8", "k4v16", "k8v4", "k8v16", "k16v4", "k16v8"]
"""Of keys and values alike, or of each."""
KvAttention = Literal["auto", "packed", "expanded"]
VectorIndexKind = Literal["hnsw", "ivfflat"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, and a misspelt key is an error."""


class ModelSettings(_Section, frozen=True):
    """Which language model, and how it is asked when a request leaves it open."""

    enabled: bool = True
    id: Annotated[str, Meta(min_length=1)] | None = None
    max_context_length: Annotated[int, Meta(ge=256, le=1_048_576)] | None = None
    max_batch_size: Annotated[int, Meta(ge=1, le=64)] = 2
    scheduler_enabled: bool = True
    max_stall_ms: Annotated[int, Meta(ge=1, le=60_000)] = 500
    prefill_step_size: Annotated[int, Meta(ge=16, le=16_384)] | None = None
    default_max_tokens: Annotated[int, Meta(ge=1, le=131_072)] = 256
    default_temperature: Annotated[float, Meta(ge=0, le=2)] | None = None


class CacheSettings(_Section, frozen=True):
    """KV cache blocks: their precision, how much of memory and disk they may fill, how much may be written to the disk
    in a day (0 is no limit), and the key that seals them there. `steady_prompts` keeps what agents write anew into
    every system prompt from costing the prefix.
    """

    kv_bits: KvBits | None = None
    kv_group_size: Literal[32, 64, 128] | None = None
    kv_attention: KvAttention | None = None
    budget_mb: Annotated[int, Meta(ge=64, le=1_048_576)] = 8192
    disk_budget_mb: Annotated[int, Meta(ge=64, le=16_777_216)] = 20_480
    disk_daily_write_mb: Annotated[int, Meta(ge=0, le=16_777_216)] = 0
    encryption_key: str | None = None
    steady_prompts: bool = True

    @property
    def encryption(self) -> bytes | None:
        """The key's 32 bytes. Raises Misconfigured, which never repeats it, when it has another form."""
        if self.encryption_key is None:
            return None
        form = "AGENT_MEMORY_ENCRYPTION_KEY: must be 32 bytes in base64, as `openssl rand -base64 32` prints them"
        try:
            key = base64.b64decode(self.encryption_key, validate=True)
        except ValueError as error:
            raise Misconfigured(f"{form}: {error}") from None
        if len(key) != 32:
            raise Misconfigured(f"{form}; these are {len(key)} bytes")
        return key


class ServerSettings(_Section, frozen=True):
    """Where the server listens and what it lets in."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    log_level: LogLevel = "INFO"
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allow_unauthenticated: bool = False
    admin_key: Annotated[str, Meta(min_length=1)] | None = None
    max_body_mb: Annotated[int, Meta(ge=1, le=1024)] = 4
    request_seconds: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    shutdown_seconds: Annotated[int, Meta(ge=1, le=3600)] = 10

    @property
    def max_body_bytes(self) -> int:
        return self.max_body_mb * 1_000_000


class DatabaseSettings(_Section, frozen=True):
    """A PostgreSQL of your own (it needs pgvector); without a URL the embedded one serves. `vector_index`
    is the kind of index that is built once a scope is large enough to need one.
    """

    url: Annotated[str, Meta(pattern="^postgres(ql)?://")] | None = None
    min_pool_size: Annotated[int, Meta(ge=1, le=1000)] = 5
    max_pool_size: Annotated[int, Meta(ge=1, le=1000)] = 20
    command_timeout: Annotated[float, Meta(ge=0.001, le=3600)] = 10.0
    vector_index: VectorIndexKind = "hnsw"


class MemorySettings(_Section, frozen=True):
    """How memories are ranked, whether the oldest of too many are condensed or fade, and how often one may ask.

    Condensing and fading are off unless they are asked for: what was said stays found word by word. The limits are
    those of the HTTP server; 0 is none, and so is what is too much to count. `search_cache_mb` is for the scopes that
    were searched lately.
    """

    embedding_model: Annotated[str, Meta(min_length=1)] | None = None
    search_cache_mb: Annotated[int, Meta(ge=0, le=1_048_576)] = 64
    recency_decay_days: Annotated[float, Meta(ge=0.001, le=36_500)] = 30.0
    summarization_enabled: bool = False
    summarization_by_model: bool = False
    summarization_threshold: Annotated[int, Meta(ge=2, le=1_000_000)] = 100
    summarization_batch_size: Annotated[int, Meta(ge=2, le=1000)] = 50
    summarization_interval_seconds: Annotated[float, Meta(gt=0, le=864_000)] = 300.0
    fade_after_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0
    rate_limit_writes_per_minute: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 60
    rate_limit_searches_per_minute: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 120


class Settings(_Section, frozen=True):
    data_dir: str = "~/.agent_memory"
    model: ModelSettings = ModelSettings()
    cache: CacheSettings = CacheSettings()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    memory: MemorySettings = MemorySettings()

    @property
    def data_folder(self) -> Path:
        return Path(self.data_dir).expanduser().absolute()
