"""Caches of turns that have ended, left open as they stood: the next turn of the conversation goes on in one of them
at once, with nothing to unpack.

They take what memory is free and are the first to give way: whatever they hold lies in blocks as well.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent_memory.domain.kv.block import BlockHash, CacheBlock, PackedTokens, cut
from agent_memory.domain.kv.turn import TurnId


@dataclass(frozen=True, slots=True)
class Parked:
    """A cache over `tokens`, all of them in the blocks of `chain`. It can be cut back as far as `floor`: what its last
    block is made of is still at hand.
    """

    turn: TurnId
    root: BlockHash
    tokens: PackedTokens
    chain: Sequence[CacheBlock]

    @property
    def floor(self) -> int:
        return self.chain[-1].start

    @property
    def end(self) -> int:
        return self.chain[-1].end

    def holds(self, root: BlockHash, tokens: PackedTokens, length: int) -> bool:
        return self.root == root and cut(self.tokens, 0, length) == cut(tokens, 0, length)


class Parking:
    """With `only_whole`, a cache serves its whole length or not at all: a ring or a state cannot be cut back."""

    def __init__(self, *, only_whole: bool) -> None:
        self._only_whole = only_whole
        self._places: OrderedDict[TurnId, Parked] = OrderedDict()  # the longest parked first

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, turn: object) -> bool:
        return turn in self._places

    def __iter__(self) -> Iterator[TurnId]:
        return iter(self._places)

    def enter(self, parked: Parked) -> None:
        self._places[parked.turn] = parked

    def leave(self, turn: TurnId) -> None:
        del self._places[turn]

    def longest_parked(self, *, sparing: TurnId | None = None) -> TurnId | None:
        return next((turn for turn in self._places if turn != sparing), None)

    def find(self, root: BlockHash, tokens: PackedTokens, length: int) -> TurnId | None:
        """One that can go on after the first `length` of these tokens."""
        for place in reversed(self._places.values()):
            fits = place.end == length if self._only_whole else place.floor <= length <= place.end
            if length and fits and place.holds(root, tokens, length):
                return place.turn
        return None

    def over(self, block: BlockHash) -> list[TurnId]:
        """Those that this block is a part of."""
        return [turn for turn, place in self._places.items() if any(b.hash == block for b in place.chain)]
