"""Which prefixes are known, and the longest of them that a new prompt can be restored from.

Knows tokens and chains; not in which tier a block lives, nor how to read it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

from agent_memory.domain.kv.block import (
    TOKEN_BYTES,
    BlockHash,
    CacheBlock,
    PackedTokens,
    Part,
    PartKey,
    chain,
    common_prefix,
    cut,
)

_AROUND = 32  # siblings on either side that are looked at for one with a local part


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """`blocks` cover the first `length` tokens; the last block may reach beyond. `common` counts the tokens that
    are known at all: where it exceeds `length`, a local part is missing.
    """

    blocks: tuple[CacheBlock, ...]
    length: int
    common: int


class PrefixIndex:
    """`reach` is how many tokens before its end a prefix needs local parts for, `exact` whether it can end only where
    a block with such a part does (CacheSpec).
    """

    def __init__(self, block_tokens: int, reach: int, *, exact: bool = False) -> None:
        self._block_tokens = block_tokens
        self.reach = reach
        self.exact = exact
        self._blocks: dict[BlockHash, CacheBlock] = {}
        self._local: set[BlockHash] = set()
        # Children of one parent, sorted: the longest common prefix with any text is beside its insertion point.
        self._children: dict[BlockHash, list[tuple[PackedTokens, BlockHash]]] = {}

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[CacheBlock]:
        return iter(self._blocks.values())

    def get(self, block: BlockHash) -> CacheBlock | None:
        return self._blocks.get(block)

    def leads_on(self, block: BlockHash) -> bool:
        """Whether a known block follows it."""
        return block in self._children

    def has(self, key: PartKey) -> bool:
        return key.hash in (self._local if key.part is Part.LOCAL else self._blocks)

    def add(self, block: CacheBlock, *, local: bool) -> None:
        """May be repeated; a local part once known stays known until it is forgotten."""
        if block.hash not in self._blocks:
            self._blocks[block.hash] = block
            insort(self._children.setdefault(block.parent, []), (block.tokens, block.hash))
        if local:
            self._local.add(block.hash)

    def forget(self, key: PartKey) -> None:
        """A block whose lasting part is gone is no longer known; its descendants are unreachable until it returns."""
        self._local.discard(key.hash)
        if key.part is Part.LOCAL:
            return
        block = self._blocks.pop(key.hash, None)
        if block is not None:
            siblings = self._children[block.parent]
            siblings.remove((block.tokens, block.hash))
            if not siblings:
                del self._children[block.parent]

    def is_passed(self, block: CacheBlock, tokens: int) -> bool:
        """Whether every known conversation that holds this block goes on for `tokens` behind it, all in one line."""
        end, here = block.end + tokens, block
        while here.end < end:
            following = self._children.get(here.hash, [])
            if len(following) != 1:
                return False
            here = self._blocks[following[0][1]]
        return True

    def superseded_by(self, block: CacheBlock) -> list[CacheBlock]:
        """The siblings whose tokens are a strict prefix of `block`'s: it can be cut to serve for each of them, but
        for a state, which cannot be cut.
        """
        shorter = self._heads(block.parent, cut(block.tokens, 0, len(block) - 1))
        return [head for head in shorter if not (self.exact and head.hash in self._local)]

    def _heads(self, parent: BlockHash, tokens: PackedTokens) -> Iterator[CacheBlock]:
        """The children of `parent` that `tokens` begin with, the longest first."""
        siblings = self._children.get(parent, [])
        longest = len(tokens) // TOKEN_BYTES
        while longest > 0:
            head = cut(tokens, 0, longest)
            place = bisect_right(siblings, (head, BlockHash("~"))) - 1  # "~" sorts after every hash
            if place < 0:
                break
            begins, sibling = siblings[place]
            shared = common_prefix(begins, head)
            if shared * TOKEN_BYTES == len(begins):
                yield self._blocks[sibling]
                shared -= 1
            longest = shared

    def match(self, root: BlockHash, tokens: PackedTokens, limit: int) -> PrefixMatch:
        """The longest restorable prefix of at most `limit` tokens under the namespace `root`."""
        blocks: list[CacheBlock] = []
        parent, position = root, 0
        while position < limit:
            block, shared = self._next(parent, cut(tokens, position, limit))
            if block is None:
                break
            blocks.append(block)
            position += shared
            if shared < self._block_tokens:
                break
            parent = block.hash
        if self.exact:
            blocks = self._ended(blocks, cut(tokens, 0, position))
            return PrefixMatch(tuple(blocks), blocks[-1].end if blocks else 0, position)
        length = self._restorable(blocks, position)
        return PrefixMatch(tuple(b for b in blocks if b.start < length), length, position)

    def _next(self, parent: BlockHash, rest: PackedTokens) -> tuple[CacheBlock | None, int]:
        whole = cut(rest, 0, self._block_tokens)
        exact = self._blocks.get(chain(parent, whole))
        if exact is not None:
            return exact, len(exact)
        siblings = self._children.get(parent, [])
        place = bisect_left(siblings, (whole, BlockHash("")))
        near = [(common_prefix(tokens, whole), block) for tokens, block in siblings[max(0, place - 1) : place + 1]]
        longest, best = max(near, default=(0, None))
        if self.reach and best not in self._local:
            # The longest would have to be given up whole: rather one that begins alike and can be restored.
            around = siblings[max(0, place - _AROUND) : place + _AROUND]
            local = [(common_prefix(tokens, whole), block) for tokens, block in around if block in self._local]
            longest, best = max([*local, (0, best)])
        return (self._blocks[best], longest) if best is not None and longest else (None, 0)

    def _restorable(self, blocks: list[CacheBlock], length: int) -> int:
        """Step back until every block within reach of the end has its local part."""
        while self.reach and length and (missing := self._missing(blocks, length)):
            length = missing[-1].start
        return length

    def _ended(self, blocks: list[CacheBlock], tokens: PackedTokens) -> list[CacheBlock]:
        """Step back to where a block ends that has its local part, be it a shorter one than was followed."""
        for number in reversed(range(len(blocks))):
            here = blocks[number]
            for head in self._heads(here.parent, cut(tokens, here.start, here.end)):
                ended = [*blocks[:number], head]
                if not self._missing(ended, head.end):
                    return ended
        return []

    def _missing(self, blocks: list[CacheBlock], length: int) -> list[CacheBlock]:
        needed = (b for b in blocks if b.start < length and b.end > length - self.reach)
        return [b for b in needed if b.hash not in self._local]

    def check(self) -> None:
        children = sum(len(siblings) for siblings in self._children.values())
        assert children == len(self._blocks), f"{children} children of {len(self._blocks)} blocks"
        assert self._local <= self._blocks.keys(), "a local part without its block"
        for block in self._blocks.values():
            assert chain(block.parent, block.tokens) == block.hash, f"{block.hash} does not name its content"
