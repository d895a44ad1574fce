"""The fewest bits that a model bears."""

import pytest

from agent_memory.domain.kv.calibration import Measured, Tolerance, judge
from agent_memory.domain.kv.precision import Precision

FULL = Measured(Precision(16), 1000, perplexity=10.0, agreement=1.0, recall=0.9)


def measured(bits, perplexity=10.0, agreement=1.0, recall=0.9):
    return Measured(Precision(bits), bits * 60, perplexity, agreement, recall)


def bits_chosen(*others, tolerance=None):
    return judge([FULL, *others], tolerance or Tolerance()).chosen.bits


def test_the_cheapest_that_costs_nothing_is_chosen():
    assert bits_chosen(measured(8), measured(4)) == 4


@pytest.mark.parametrize("worse", [{"perplexity": 10.11}, {"agreement": 0.989}, {"recall": 0.88}])
def test_what_costs_more_than_is_tolerated_is_not(worse):
    assert bits_chosen(measured(8), measured(4, **worse)) == 8


def test_where_nothing_else_will_do_16_bits_are_kept():
    assert bits_chosen(measured(8, recall=0.5), measured(4, recall=0.5)) == 16


def test_the_tolerance_is_the_operators():
    worse = measured(4, perplexity=10.2, agreement=0.95, recall=0.87)
    assert bits_chosen(worse) == 16
    assert bits_chosen(worse, tolerance=Tolerance(perplexity=3, points=6)) == 4


def test_better_than_16_bits_is_no_fault():
    assert bits_chosen(measured(4, perplexity=9.5, recall=1.0)) == 4


def test_a_verdict_tells_the_change_in_percent():
    verdict = judge([FULL, measured(4, perplexity=10.25)], Tolerance())
    assert [round(verdict.perplexity_change(one), 6) for one in verdict.measured] == [0, 2.5]
