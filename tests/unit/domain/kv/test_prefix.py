"""PrefixIndex: the longest known prefix, to the token, and what it takes to restore it."""

import random

from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, common_prefix, pack
from agent_memory.domain.kv.prefix import PrefixIndex

ROOT = Namespace("tenant", "model", "spec").root
OTHER = Namespace("other", "model", "spec").root


def add(index, tokens, *, root=ROOT, local=True):
    """Enter a conversation as the engine does: whole blocks of four and a partial last one."""
    parent, blocks = root, []
    for start in range(0, len(tokens), 4):
        block = CacheBlock.after(parent, start, pack(tokens[start : start + 4]))
        index.add(block, local=local)
        blocks.append(block)
        parent = block.hash
    return blocks


def found(index, tokens, root=ROOT):
    return index.match(root, pack(tokens), len(tokens)).length


def test_a_prompt_is_matched_to_the_token():
    index = PrefixIndex(4, 0)
    add(index, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert found(index, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) == 10
    assert found(index, [1, 2, 3, 4, 5, 6, 0]) == 6
    assert found(index, [1, 2]) == 2
    assert found(index, [2, 2]) == 0


def test_another_tenant_finds_nothing():
    index = PrefixIndex(4, 0)
    add(index, [1, 2, 3, 4])
    assert found(index, [1, 2, 3, 4], OTHER) == 0


def test_the_match_is_the_longest_over_all_that_is_known():
    dice = random.Random(7)
    for _ in range(200):
        index = PrefixIndex(4, 0)
        texts = [[dice.randrange(3) for _ in range(dice.randint(1, 14))] for _ in range(12)]
        for text in texts:
            add(index, text)
        ask = [dice.randrange(3) for _ in range(14)]
        assert found(index, ask) == max(common_prefix(pack(ask), pack(text)) for text in texts)
        index.check()


def test_a_window_must_be_covered_by_local_parts():
    index = PrefixIndex(4, reach=3)
    blocks = add(index, list(range(12)), local=False)
    assert found(index, list(range(12))) == 0
    index.add(blocks[1], local=True)  # tokens 4 to 7: ends 7 and 8 look back on them alone
    assert found(index, list(range(12))) == 8
    assert found(index, list(range(7))) == 7
    index.add(blocks[2], local=True)
    assert found(index, list(range(12))) == 12


def test_a_forgotten_block_hides_what_follows_until_it_returns():
    index = PrefixIndex(4, 0)
    blocks = add(index, list(range(12)))
    index.forget(PartKey(blocks[1].hash, Part.LASTING))
    assert found(index, list(range(12))) == 4
    index.add(blocks[1], local=False)
    assert found(index, list(range(12))) == 12


def test_a_longer_sibling_supersedes_its_own_prefixes_only():
    index = PrefixIndex(8, 0)
    short = [CacheBlock.after(ROOT, 0, pack(tokens)) for tokens in ([1], [1, 2], [1, 2, 3], [1, 1], [1, 2, 9])]
    for block in short:
        index.add(block, local=False)
    long = CacheBlock.after(ROOT, 0, pack([1, 2, 3, 4]))
    index.add(long, local=False)
    assert {block.tokens for block in index.superseded_by(long)} == {pack([1]), pack([1, 2]), pack([1, 2, 3])}


def test_of_blocks_that_begin_alike_one_is_found_that_can_be_restored():
    index = PrefixIndex(8, reach=3)
    for last in (1, 3, 5):
        index.add(CacheBlock.after(ROOT, 0, pack([7, 7, 7, 7, last])), local=last == 5)
    for asked in range(7):
        assert found(index, [7, 7, 7, 7, asked, 9]) >= 4


def test_a_state_restores_only_where_its_block_ends():
    index = PrefixIndex(4, reach=1, exact=True)
    blocks = add(index, list(range(10)), local=False)
    assert found(index, list(range(10))) == 0
    index.add(blocks[0], local=True)
    index.add(blocks[2], local=True)  # ends at 10
    assert found(index, list(range(11))) == 10
    assert found(index, list(range(9))) == 4
    assert found(index, list(range(3))) == 0


def test_of_prefixes_that_begin_alike_the_longest_with_a_state_is_found():
    dice = random.Random(11)
    for _ in range(200):
        index = PrefixIndex(4, reach=1, exact=True)
        texts = [[dice.randrange(2) for _ in range(dice.randint(1, 14))] for _ in range(8)]
        kept = []
        for text in texts:
            blocks = add(index, text, local=False)
            stated = dice.choice(blocks)
            index.add(stated, local=True)
            kept.append(text[: stated.end])
        ask = [dice.randrange(2) for _ in range(14)]
        assert found(index, ask) == max((len(text) for text in kept if ask[: len(text)] == text), default=0)
        index.check()


def test_a_window_before_a_state_must_be_covered_too():
    index = PrefixIndex(4, reach=6, exact=True)
    blocks = add(index, list(range(12)), local=False)
    index.add(blocks[2], local=True)
    assert found(index, list(range(12))) == 0
    index.add(blocks[1], local=True)
    assert found(index, list(range(12))) == 12


def test_a_longer_sibling_supersedes_no_state():
    index = PrefixIndex(8, reach=1, exact=True)
    for tokens in ([1], [1, 2], [1, 2, 3]):
        index.add(CacheBlock.after(ROOT, 0, pack(tokens)), local=tokens == [1, 2])
    long = CacheBlock.after(ROOT, 0, pack([1, 2, 3, 4]))
    index.add(long, local=False)
    assert {block.tokens for block in index.superseded_by(long)} == {pack([1]), pack([1, 2, 3])}


def test_a_place_is_passed_where_all_that_is_known_goes_on_in_one_line():
    index = PrefixIndex(4, reach=5)
    line = add(index, list(range(18)))
    assert index.is_passed(line[0], 5)
    assert index.is_passed(line[1], 5)
    assert not index.is_passed(line[3], 5), "the conversation ends within reach"
    assert not index.is_passed(line[4], 5)
    add(index, [*range(12), 99, 98, 97, 96, 95])
    assert index.is_passed(line[0], 5)
    assert not index.is_passed(line[1], 5), "there is a fork within reach"
    assert not index.is_passed(line[2], 5)
