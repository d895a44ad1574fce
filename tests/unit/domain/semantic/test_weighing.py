from datetime import UTC, datetime, timedelta

import pytest

from agent_memory.domain.semantic.weighing import EVER, NEVER, Weighing, recency

NOW = datetime(2026, 11, 20, tzinfo=UTC)
MONTH = timedelta(days=30)


def test_recency_halves_with_each_half_life():
    assert [recency(NOW - n * MONTH, NOW, MONTH) for n in range(3)] == pytest.approx([1, 0.5, 0.25])


def test_the_future_counts_as_now():
    assert recency(NOW + MONTH, NOW, MONTH) == 1


def test_a_total_needs_some_freshness():
    weighing = Weighing(0.5, MONTH)
    since = weighing.since(0.5 * 0.4 + 0.5 * 0.25, 0.4, NOW)
    assert since == pytest.approx(NOW - 2 * MONTH, abs=timedelta(seconds=10))
    assert since < NOW - 2 * MONTH


@pytest.mark.parametrize(
    ("alpha", "total", "similarity", "since"),
    [(0.5, 0.2, 0.4, EVER), (0.5, 0.8, 0.4, NEVER), (1, 0.5, 0.4, NEVER), (0.5, 1e-300, 0, EVER)],
)
def test_meaning_may_be_enough_and_freshness_too_little(alpha, total, similarity, since):
    assert Weighing(alpha, 30 * MONTH).since(total, similarity, NOW) == since
