"""What is to stay: the blocks of pinned agents, up to half of what the tiers can hold. Whose, the book knows."""

import logging
from collections.abc import Iterator, Mapping

from agent_memory.application.whereabouts import Whereabouts, mb
from agent_memory.domain.errors import Conflict
from agent_memory.domain.kv.agents import Agent, AgentBook
from agent_memory.domain.kv.block import BlockHash

log = logging.getLogger(__name__)

_PINNABLE = 2  # one part in so many of a budget; the rest is for those who come and go


class Pins:
    """As the book says, from each `renew` to the next."""

    def __init__(self, book: AgentBook, blocks: Whereabouts) -> None:
        self._book, self._blocks = book, blocks
        self._sizes: dict[BlockHash, int] = {}
        self.renew()

    def __contains__(self, block: BlockHash) -> bool:
        return block in self._sizes

    @property
    def nbytes(self) -> int:
        return sum(self._sizes.values())

    @property
    def _most(self) -> int:
        return self._blocks.budget // _PINNABLE

    def refuse_beyond(self, agent: Agent) -> None:
        """Raises Conflict when that agent's blocks are more than may still be pinned."""
        more = sum(self._blocks.size(block) for block in agent.blocks if not self._book.pinned(block))
        if self.nbytes + more > self._most:
            own = sum(self._sizes.get(block, 0) for block in self._book.pins_of(agent.name.tenant))
            raise Conflict(
                f"agent {agent.name.id!r} cannot be pinned: its blocks take {mb(more)} more, {mb(own)} of your "
                f"tenant's are pinned, and {mb(self._most)} may be of all together, half of the smaller of the memory "
                "and disk budgets"
            )

    def renew(self) -> None:
        """Tell the tiers what is to stay. A pinned agent that has outgrown what may be pinned loses its ends first."""
        sizes = {block: self._sizes.get(block) or self._blocks.size(block) for block in self._book.pins}
        if sum(sizes.values()) > self._most:
            log.warning("pinned agents take %s, %s may be pinned", mb(sum(sizes.values())), mb(self._most))
            sizes = dict(_fitting(sizes, self._most))
        self._sizes = sizes
        self._blocks.pin(sizes)


def _fitting(sizes: Mapping[BlockHash, int], room: int) -> Iterator[tuple[BlockHash, int]]:
    for block, nbytes in sizes.items():
        room -= nbytes
        if room < 0:
            return
        yield block, nbytes
