"""Memories as a block of text for a prompt, one line each, within a budget of tokens."""

from collections.abc import Iterable
from dataclasses import dataclass

from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.tokens import tokens_of, tokens_up_to


@dataclass(frozen=True, slots=True)
class Block:
    text: str = ""
    memories: int = 0

    @property
    def tokens(self) -> int:
        """About as many as a language model reads for it."""
        return tokens_of(self.text) if self.text else 0


def block_of(memories: Iterable[Memory], most: int) -> Block:
    """As many as fit, in their order; what is too long for the room that is left is passed over."""
    lines: list[str] = []
    for memory in memories:
        line = line_of(memory)
        cost = tokens_up_to(most, line + "\n")
        if cost <= most:
            lines.append(line)
            most -= cost
    return Block("\n".join(lines), len(lines))


def line_of(memory: Memory) -> str:
    """One line whatever it holds, so that no memory can look like another, or like what stands around them."""
    return f"- {memory.moment:%Y-%m-%d}: {' '.join(memory.content.split())}"
