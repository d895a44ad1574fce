"""Counts what is written to the folder's disk, in a small file that outlives the process, and keeps to a daily budget.

Days are UTC. The file is not waited for: a power cut may cost the last seconds' counts.
"""

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

from agent_memory.domain.kv.wear import Wear, WritesSpent

log = logging.getLogger(__name__)

_WIDTH = 128  # written over in place, always as long: it is never empty


def utc_day() -> date:
    return datetime.now(UTC).date()


class Meter:
    def __init__(self, file: Path, daily_budget: int | None = None, today: Callable[[], date] = utc_day) -> None:
        self._file = file
        self._today = today
        self._wear = _load(file, daily_budget, today())
        self._told: date | None = None

    @property
    def total(self) -> int:
        return self._wear.total

    @property
    def today(self) -> int:
        return self._wear.on(self._today())

    def check(self, nbytes: int) -> None:
        """Raises WritesSpent, and says so once a day."""
        day = self._today()
        try:
            self._wear.check(nbytes, day)
        except WritesSpent as error:
            if self._told != day:
                log.warning("new blocks are kept in memory only until midnight (UTC): %s", error)
                self._told = day
            raise

    def add(self, nbytes: int) -> None:
        self._wear.add(nbytes, self._today())
        wear = self._wear
        line = json.dumps({"day": wear.day.isoformat(), "today": wear.today, "total": wear.total})
        with suppress(OSError):
            file = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, line.ljust(_WIDTH).encode(), 0)
            finally:
                os.close(file)


def _load(file: Path, daily_budget: int | None, today: date) -> Wear:
    try:
        kept = json.loads(file.read_text())
        return Wear(daily_budget, date.fromisoformat(kept["day"]), int(kept["today"]), int(kept["total"]))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("the counter of written bytes is damaged and begins anew: %s", error)
    return Wear(daily_budget, today)
