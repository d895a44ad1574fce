"""Looking after the cache as a whole: is every file sound, and what can go."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from agent_memory.application.agents import Ask
from agent_memory.ports.upkeep import BlockFiles, Checked, Swept


@dataclass(frozen=True, slots=True)
class Verdict:
    files: int
    nbytes: int
    damaged: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """Expired agents, blocks that no chain leads to, and files that had been put aside as damaged."""

    agents: int
    blocks: int
    swept: Swept


class Cleared(NamedTuple):
    agents: int
    blocks: int


class Upkeep:
    def __init__(self, ask: Ask, files: BlockFiles) -> None:
        self._ask, self._files = ask, files

    async def verify(self) -> Verdict:
        """Read every file and check its digest. What is damaged stays where it is: its next reader puts it aside."""
        checked = await asyncio.to_thread(lambda: list(self._files.check()))
        damaged = tuple(each for each in checked if each.fault is not None)
        return Verdict(len(checked), sum(each.nbytes for each in checked), damaged)

    async def clear(self) -> Cleared:
        """Every agent goes, and every block that the loaded model knows."""
        return Cleared(*await self._ask(lambda holdings: holdings.clear()))

    async def collect(self) -> Collection:
        """Remove what nobody can use any more."""
        agents = await self._ask(lambda holdings: holdings.expire())
        blocks = await self._ask(lambda holdings: holdings.collect())
        return Collection(agents, blocks, await asyncio.to_thread(self._files.sweep))
