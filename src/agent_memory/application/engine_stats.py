"""The engine's figures at one moment: what is counted, not who counts or who shows it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Totals since the start, and what holds at this moment (turns, waiting, blocks, memory, pending writes).

    What was written (`bytes_written_...`) is the slower tier's own count, which a disk keeps over restarts; days are
    UTC. Withheld is what a daily write budget kept in memory only.
    """

    turns_running: int = 0
    turns_waiting: int = 0
    turns_parked: int = 0
    blocks_known: int = 0
    cache_bytes: int = 0
    cache_budget_bytes: int = 0
    pending_writes: int = 0
    prompt_tokens_total: int = 0
    cached_tokens_total: int = 0
    generated_tokens_total: int = 0
    prefill_seconds_total: float = 0.0
    decode_seconds_total: float = 0.0
    restore_seconds_total: float = 0.0
    blocks_written_total: int = 0
    bytes_written_today: int = 0
    bytes_written_total: int = 0
    writes_withheld_total: int = 0
    write_errors_total: int = 0
    lost_blocks_total: int = 0
    evictions_total: int = 0
    failed_turns_total: int = 0
