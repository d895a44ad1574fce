"""Bugs that such a cache can have, planted one at a time: the random schedules, or a direct assertion, see each."""

from dataclasses import replace

import pytest
from world import World

from agent_memory.domain.kv import block, prefix, turn
from agent_memory.domain.kv.block import CacheBlock, Namespace, chain, cut, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.parking import Parked, Parking
from agent_memory.domain.kv.pool import BlockPool
from agent_memory.domain.kv.prefix import PrefixIndex, PrefixMatch
from agent_memory.domain.kv.spec import CacheSpec


def hash_ignores_parent(patch):
    def forgetful(_parent, tokens):
        return chain("00" * 32, tokens)

    patch.setattr(block, "chain", forgetful)
    patch.setattr(prefix, "chain", forgetful)


def restore_is_one_token_too_long(patch):
    match = PrefixIndex.match

    def longer(self, root, tokens, limit):
        found = match(self, root, tokens, limit)
        room = found.blocks[-1].end - found.length if found.blocks else 0
        return PrefixMatch(found.blocks, found.length + min(1, room), found.common)

    patch.setattr(PrefixIndex, "match", longer)


def blocks_are_reused_across_models(patch):
    root = Namespace.root.fget
    patch.setattr(Namespace, "root", property(lambda self: root(replace(self, model=""))))


def tenants_share_blocks(patch):
    root = Namespace.root.fget
    patch.setattr(Namespace, "root", property(lambda self: root(replace(self, tenant=""))))


def local_parts_cover_one_token_too_few(patch):
    patch.setattr(PrefixIndex, "_restorable", lambda _self, _blocks, length: length)


def a_state_serves_for_less_than_it_has_read(patch):
    ended = PrefixIndex._ended

    def shorter(self, blocks, tokens):
        found = ended(self, blocks, tokens)
        return found[:-1]

    patch.setattr(PrefixIndex, "_ended", shorter)


def a_state_is_kept_under_an_earlier_end(patch):
    patch.setattr(CacheSpec, "exact", False)


def saved_block_misses_its_last_token(patch):
    unsaved = turn.Turn.unsaved

    def short(self, block_tokens, *, partial):
        blocks = unsaved(self, block_tokens, partial=partial)
        if not blocks or len(blocks[-1]) == block_tokens or len(blocks[-1]) == 1:
            return blocks
        last = blocks[-1]
        wrong = CacheBlock.after(last.parent, last.start, cut(pack(self.tokens), last.start + 1, last.end + 1))
        return [*blocks[:-1], wrong]

    patch.setattr(turn.Turn, "unsaved", short)


def lost_block_stays_known(patch):
    patch.setattr(PrefixIndex, "forget", lambda _self, _key: None)


def pool_forgets_what_it_evicted(patch):
    make_room = BlockPool._make_room

    def careless(self, nbytes):
        make_room(self, nbytes)
        return []

    patch.setattr(BlockPool, "_make_room", careless)


def reservation_is_never_given_back(patch):
    patch.setattr(BlockPool, "unreserve", lambda _self, _owner, _nbytes=None: 0)


def parked_caches_serve_whoever_comes(patch):
    patch.setattr(Parked, "holds", lambda self, root, _tokens, _length: self.root == root)


def parked_windows_are_cut_back(patch):
    begin = Parking.__init__
    patch.setattr(Parking, "__init__", lambda self, **_: begin(self, only_whole=False))


def towed_caches_stay_open(patch):
    tow = Ledger._tow

    def careless(self, name):
        tow(self, name)
        self.towed.clear()

    patch.setattr(Ledger, "_tow", careless)


def piece_in_hand_is_begun_again(patch):
    patch.setattr(turn.Turn, "in_hand", property(lambda _: None, lambda _self, _value: None))


MUTATIONS = [
    hash_ignores_parent,
    restore_is_one_token_too_long,
    blocks_are_reused_across_models,
    tenants_share_blocks,
    local_parts_cover_one_token_too_few,
    a_state_serves_for_less_than_it_has_read,
    a_state_is_kept_under_an_earlier_end,
    saved_block_misses_its_last_token,
    lost_block_stays_known,
    pool_forgets_what_it_evicted,
    reservation_is_never_given_back,
    parked_caches_serve_whoever_comes,
    parked_windows_are_cut_back,
    towed_caches_stay_open,
    piece_in_hand_is_begun_again,
]


@pytest.mark.parametrize("plant", MUTATIONS, ids=lambda plant: plant.__name__)
def test_the_schedules_see_a_planted_bug(plant, monkeypatch):
    plant(monkeypatch)
    with pytest.raises((AssertionError, KeyError, IndexError)):
        for seed in range(200):
            World(seed).run(120)
