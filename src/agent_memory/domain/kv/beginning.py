"""What a turn begins with: the longest prefix that is known of its prompt, and what it is restored from."""

from collections.abc import Iterable
from dataclasses import replace

from agent_memory.domain.kv.block import Part, PartKey, common_prefix, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.prefix import PrefixMatch
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.steps import Restore
from agent_memory.domain.kv.tips import Tips, within_reach
from agent_memory.domain.kv.turn import Phase, Turn, TurnId


class Beginning:
    """Reads the ledger's books, and changes nothing."""

    def __init__(self, spec: CacheSpec, ledger: Ledger, tips: Tips) -> None:
        self._spec, self._ledger, self._tips = spec, ledger, tips

    def match(self, turn: Turn) -> PrefixMatch:
        tokens = pack(turn.tokens[: turn.prompt_tokens])
        match = self._ledger.index.match(turn.root, tokens, turn.matches_to)
        known = match.common
        for start, end in turn.answers:
            if start - 1 < match.length < end:  # an answer is one piece: another one's beginning is not this one's
                match = self._ledger.index.match(turn.root, tokens, start - 1)
        return replace(match, common=known)

    def parked(self, turn: Turn, match: PrefixMatch) -> TurnId | None:
        """Whose cache was left open, and has what was matched."""
        return self._ledger.parking.find(turn.root, pack(turn.tokens), match.length)

    def pinned(self, turn: Turn, match: PrefixMatch | None = None) -> int:
        """Bytes of what is matched that stay in memory in any case: a turn needs no room of its own for them."""
        pool = self._ledger.pool
        if not pool.pinned:
            return 0
        match = match or self.match(turn)
        whole = [block for block in match.blocks if block.end <= match.length and pool.is_pinned(block.hash)]
        return sum(pool.size(PartKey(block.hash, Part.LASTING)) or 0 for block in whole)

    def restore(
        self, turn: Turn, match: PrefixMatch, seconds: float | None = None, parked: TurnId | None = None
    ) -> Restore:
        reach = self._spec.reach
        local = tuple(b for b in match.blocks if within_reach(b, match.length, reach)) if reach else ()
        return Restore(turn, match.blocks, local, match.length, match.common, parked, seconds)

    def missing(self, turns: Iterable[Turn]) -> list[PartKey]:
        """The parts that they will be restored from, as far as one can tell now, and that are not in memory."""
        keys: list[PartKey] = []
        for turn in turns:
            match = self.match(turn)
            if self.parked(turn, match) is None:
                keys += self.restore(turn, match).keys
        return [key for key in keys if key not in self._ledger.pool]

    def gains_by_waiting(self, turn: Turn, running: Iterable[Turn]) -> bool:
        """Whether a running turn is about to keep a longer prefix of this prompt than is known now: the turn before it
        in its conversation, which is being put away, or another that begins alike and is being read.
        """
        about_to = [other for other in running if other.stored and other.phase is not Phase.DECODING]
        alike = [other for other in about_to if other.root == turn.root and other.tokens[0] == turn.tokens[0]]
        if not alike:
            return False
        known, prompt = self.match(turn).length, pack(turn.tokens[: turn.prompt_tokens - 1])
        return any(self._tips.brings(other, common_prefix(prompt, pack(other.tokens)), known) for other in alike)
