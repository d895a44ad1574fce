"""Wear: bytes of a day and of all days."""

from datetime import date, timedelta

import pytest

from agent_memory.domain.kv.wear import Wear, WritesSpent

TODAY = date(2026, 3, 1)
TOMORROW = TODAY + timedelta(days=1)


def test_a_day_has_its_budget_and_the_next_one_has_it_anew():
    wear = Wear(100, TODAY)
    wear.add(60, TODAY)
    wear.check(40, TODAY)
    with pytest.raises(WritesSpent, match="60 of 100 bytes"):
        wear.check(41, TODAY)
    wear.check(100, TOMORROW)


def test_the_total_goes_on_over_days():
    wear = Wear(None, TODAY)
    wear.add(60, TODAY)
    wear.add(50, TOMORROW)
    assert (wear.on(TOMORROW), wear.on(TODAY), wear.total) == (50, 0, 110)


def test_without_a_budget_everything_may_be_written():
    wear = Wear(None, TODAY)
    wear.add(1 << 60, TODAY)
    wear.check(1 << 60, TODAY)
