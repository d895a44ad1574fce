"""Blocks: a hash names a whole prefix in a namespace."""

import random
from dataclasses import replace

import pytest

from agent_memory.domain.kv.block import CacheBlock, Namespace, common_prefix, cut, pack, unpack

HOME = Namespace("tenant", "model", "spec")


@pytest.mark.parametrize("field", ["tenant", "model", "spec"])
def test_each_field_of_the_namespace_changes_the_root(field):
    assert replace(HOME, **{field: "other"}).root != HOME.root


def test_fields_cannot_run_into_each_other():
    assert Namespace("ab", "c", "d").root != Namespace("a", "bc", "d").root


def test_a_hash_depends_on_the_whole_prefix():
    first = CacheBlock.after(HOME.root, 0, pack([1, 2]))
    other = CacheBlock.after(HOME.root, 0, pack([1, 3]))
    same_tokens = pack([5, 6])
    assert CacheBlock.after(first.hash, 2, same_tokens).hash != CacheBlock.after(other.hash, 2, same_tokens).hash


def test_tokens_survive_packing():
    tokens = [0, 1, 255, 256, 262_143, 2**32 - 1]
    assert unpack(pack(tokens)) == tokens
    assert unpack(cut(pack(tokens), 1, 3)) == [1, 255]


def test_the_common_prefix_is_counted_in_tokens():
    dice = random.Random(1)
    for _ in range(300):
        a = [dice.randrange(3) for _ in range(dice.randrange(20))]
        b = [dice.randrange(3) for _ in range(dice.randrange(20))]
        expected = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        assert common_prefix(pack(a), pack(b)) == expected
