"""One call of a tool: who calls, what may be used for it, and the limits it passes."""

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import InputResponses

from agent_memory.application.admission import SEARCHES, WRITES
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.remembering import Remembering
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Unavailable
from agent_memory.entrypoints.http.admission import callers
from agent_memory.entrypoints.mcp.scope import Whose

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """`answers` are the user's, where this call repeats one that had to ask."""

    application: Application
    whose: Whose
    context: Context
    answers: InputResponses | None = None

    async def admit_write(self, agent_id: str) -> None:
        await self._admit(WRITES, agent_id)

    async def admit_search(self, agent_id: str) -> None:
        await self._admit(SEARCHES, agent_id)

    async def _admit(self, kind: str, agent_id: str) -> None:
        if self.whose.caller is not None:
            await self.application.gate.admit(kind, *callers(agent_id, self.whose.caller))

    @property
    def keeping(self) -> MemoryKeeping:
        if self.application.keeping is None:
            raise Unavailable("the memories of this server cannot be looked after")
        return self.application.keeping

    @property
    def remembering(self) -> Remembering:
        if self.application.remembering is None:
            raise Unavailable("this server keeps memories in a place that cannot be looked after")
        return self.application.remembering
