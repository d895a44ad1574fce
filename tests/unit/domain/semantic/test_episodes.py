"""What neighbours in time lend each other, held against the plainest way to say it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.semantic.episodes import surroundings
from agent_memory.domain.semantic.recall import Candidate

START = datetime(2026, 1, 1, tzinfo=UTC)
SHARES = {-2: 0.6, -1: 1.2, 1: 0.8, 2: 0.4}


def candidates(steps):
    """Of (positions, minutes) since the one before."""
    position, moment = 0, START
    for step, minutes in steps:
        position, moment = position + step, moment + timedelta(minutes=minutes)
        memory = SimpleNamespace(id=UUID(int=position), moment=moment, importance=1.0, content="")
        yield Candidate.of(memory, position, 0.0, {}, 1)


def plainly(episode, relevance, number):
    lent = shares = 0.0
    for step, share in SHARES.items():
        for other, own in zip(episode, relevance, strict=True):
            if other.position == episode[number].position + step:
                lent, shares = lent + share * own, shares + share
    return lent / shares if shares else relevance[number]


@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from([1, 10]), st.floats(0, 1)), max_size=30))
def test_neighbours_lend_by_their_shares(told):
    episode = list(candidates([(step, minutes) for step, minutes, _ in told]))
    relevance = [own for *_, own in told]
    found = surroundings(episode, relevance)
    assert found.neighbours == [plainly(episode, relevance, number) for number in range(len(episode))]
    assert found.episode == [max(relevance, default=0.0)] * len(episode)


def test_a_long_pause_ends_an_episode():
    found = surroundings(list(candidates([(1, 0), (1, 61)])), [0.2, 0.9])
    assert found == ([0.2, 0.9], [0.2, 0.9])
