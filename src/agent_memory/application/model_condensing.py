"""Condensing by the language model that is loaded, held to the facts: a text that loses one is not taken."""

from collections.abc import Sequence
from typing import Protocol

from agent_memory.application.conversation import Prompt, Sampling
from agent_memory.application.replies import Reply, whole
from agent_memory.domain.chat import Message
from agent_memory.domain.errors import AgentMemoryError
from agent_memory.domain.semantic.facts import says_no_more
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, Memory
from agent_memory.ports.semantic import Condenser

_TASK = (
    "Rewrite the notes below as one shorter text. Keep every number, name and date exactly as it is written, and "
    "everything that is denied. Leave out only what is said twice. Answer with the text alone."
)


class Speaker(Protocol):
    """The part of a `Conversation` that condensing needs."""

    def reply(self, prompt: Prompt) -> Reply: ...


class ModelCondenser:
    """The other condenser serves where the model does not: when it drops a fact, stops short, says more, or fails."""

    def __init__(self, conversation: Speaker, otherwise: Condenser) -> None:
        self._conversation = conversation
        self._otherwise = otherwise

    async def condense(self, memories: Sequence[Memory]) -> str:
        notes = "\n".join(memory.content for memory in memories)
        try:
            text = await self._written(notes, memories[0].scope.tenant)
        except AgentMemoryError:
            text = ""  # no model, too long a prompt, too many requests: all the same here
        if _is_faithful(text, notes):
            return text
        return await self._otherwise.condense(memories)

    async def _written(self, notes: str, whose: str) -> str:
        prompt = Prompt(
            (Message("user", f"{_TASK}\n\n{notes}"),),
            Sampling(temperature=0),
            len(notes) // 3 + 64,
            tenant=f"condensing for {whose}",
            thinking=False,
        )
        answer = await whole(self._conversation.reply(prompt))
        return "" if answer.ended.reason == "length" else answer.text.strip()


def _is_faithful(text: str, notes: str) -> bool:
    """No fact is lost, none is made up, and it is shorter."""
    shorter = 0 < len(text) < min(len(notes), LONGEST_CONTENT + 1)
    return shorter and says_no_more(text, notes) and says_no_more(notes, text)
