"""A cache that no engine works on: the holdings of its agents, and every change carried out at once."""

from collections.abc import Callable
from typing import TypeVar

from agent_memory.application.holdings import Holdings
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind, Written
from agent_memory.domain.kv.ledger import Ledger

T = TypeVar("T")


class RestingCache:
    """`writer` is not started: its work is done here."""

    def __init__(self, ledger: Ledger, tiers: TieredBlocks, writer: WriteBehind, holdings: Holdings) -> None:
        self._ledger, self._tiers, self._writer, self._holdings = ledger, tiers, writer, holdings

    async def ask(self, question: Callable[[Holdings], T]) -> T:
        try:
            return question(self._holdings)
        finally:
            self._carry_out()

    def _carry_out(self) -> None:
        self._writer.drain()
        for report in self._tiers.reports():
            if isinstance(report, Written):
                self._ledger.saved(report.key)
                for gone in report.evicted:
                    self._ledger.gone(gone)
                    self._tiers.gone(gone)
            else:
                self._ledger.unsaved(report.key)
        for key in self._ledger.forgotten:
            self._tiers.delete(key)
        self._writer.drain()
        for done in (self._ledger.evicted, self._ledger.forgotten, self._ledger.used, self._ledger.towed):
            done.clear()

    def close(self) -> None:
        self._tiers.close()
        self._holdings.close()
