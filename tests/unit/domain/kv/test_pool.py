"""BlockPool: what it holds, what it lets go, and that its books balance."""

import random

import pytest

from agent_memory.domain.kv.block import BlockHash, Part, PartKey
from agent_memory.domain.kv.pool import BlockPool, PoolExhausted


def key(name: object) -> PartKey:
    return PartKey(BlockHash(str(name)), Part.LASTING)


def test_the_least_recently_used_part_goes_first():
    pool = BlockPool(30)
    for name in "abc":
        pool.admit(key(name), 10)
    pool.touch(key("a"))
    assert pool.admit(key("d"), 10) == [key("b")]


def test_a_shared_part_is_not_evicted():
    pool = BlockPool(20)
    pool.admit(key("a"), 10)
    pool.share(key("a"))
    pool.admit(key("b"), 10)
    assert pool.admit(key("c"), 10) == [key("b")]


def test_a_promised_part_is_not_evicted_before_it_is_saved():
    pool = BlockPool(10)
    pool.admit(key("a"), 10, promised=True)
    with pytest.raises(PoolExhausted, match="needs 10 bytes; 0 free and 0 evictable"):
        pool.admit(key("b"), 10)
    pool.saved(key("a"))
    assert pool.admit(key("b"), 10) == [key("a")]


def test_a_reservation_takes_room_until_it_is_given_back():
    pool = BlockPool(10)
    pool.reserve("turn", 8)
    with pytest.raises(PoolExhausted):
        pool.admit(key("a"), 5)
    pool.unreserve("turn", 3)
    assert pool.admit(key("a"), 5) == []
    pool.unreserve("turn")
    assert pool.free == 5


def test_exhaustion_changes_nothing():
    pool = BlockPool(20)
    pool.admit(key("a"), 10)
    pool.reserve("turn", 10)
    with pytest.raises(PoolExhausted):
        pool.admit(key("b"), 30)
    assert key("a") in pool
    pool.check()


def test_a_demoted_part_is_the_first_to_go():
    pool = BlockPool(20)
    pool.admit(key("a"), 10)
    pool.admit(key("b"), 10)
    pool.demote(key("b"))
    assert pool.admit(key("c"), 10) == [key("b")]


def play(seed: int) -> None:
    """Random acts; after each the books balance, and nothing that was promised or in use has been evicted."""
    dice, pool = random.Random(seed), BlockPool(100)
    promised, used = set(), dict.fromkeys(map(key, range(12)), 0)
    for _ in range(200):
        name = key(dice.randrange(12))
        evicted = []
        try:
            match dice.randrange(7):
                case 0 | 1:
                    fresh = name not in pool
                    promise = dice.random() < 0.5
                    evicted = pool.admit(name, dice.randint(1, 30), promised=promise)
                    if fresh and promise:
                        promised.add(name)
                case 2 if name in pool:
                    pool.share(name)
                    used[name] += 1
                case 3 if used[name]:
                    pool.release(name)
                    used[name] -= 1
                case 4:
                    pool.saved(name)
                    promised.discard(name)
                case 5:
                    if pool.discard(name):
                        promised.discard(name)
                case 6:
                    pool.unreserve("turn")
                    evicted = pool.reserve("turn", dice.randint(1, 60))
        except PoolExhausted:
            pass
        assert not promised & set(evicted), "evicted before it was saved"
        assert not any(used[gone] for gone in evicted), "evicted while in use"
        pool.check()


@pytest.mark.parametrize("seed", range(50))
def test_the_books_balance_over_random_acts(seed):
    play(seed)


def test_random_acts_see_a_pool_that_breaks_its_promises(monkeypatch):
    monkeypatch.setattr(BlockPool, "admit", _promiseless(BlockPool.admit))
    with pytest.raises(AssertionError, match="before it was saved"):
        for seed in range(50):
            play(seed)


def _promiseless(admit):
    def admit_unpromised(self, name, nbytes, *, promised):
        return admit(self, name, nbytes, promised=promised and False)

    return admit_unpromised


def test_a_pinned_block_stays_through_a_thousand_others():
    pool = BlockPool(100)
    pool.pin([BlockHash("kept")])
    pool.admit(key("kept"), 10)
    evicted = [gone for name in range(1000) for gone in pool.admit(key(name), 10)]
    assert key("kept") in pool
    assert key("kept") not in evicted
    assert pool.pinned == 10
    pool.check()


def test_what_is_no_longer_pinned_goes_in_its_turn():
    pool = BlockPool(20)
    pool.pin([BlockHash("a")])
    pool.admit(key("a"), 10)
    pool.admit(key("b"), 10)
    pool.pin([])
    assert key("a") in pool.admit(key("c"), 20)


def test_pins_do_not_make_room_that_is_not_there():
    pool = BlockPool(20)
    pool.pin([BlockHash("a")])
    pool.admit(key("a"), 20)
    with pytest.raises(PoolExhausted):
        pool.admit(key("b"), 10)
