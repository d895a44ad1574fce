"""One request of one agent, from its prompt to its last token, and the phase it is in.

Knows token ids only: text, stop strings and the wire are the conversation's.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NewType

from agent_memory.domain.kv.block import BlockHash, CacheBlock, pack

TurnId = NewType("TurnId", str)
FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """`temperature` 0 is greedy. The same seed on the same tokens gives the same answer, however the turn is batched,
    restored or preempted; without one, the conversation draws it.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None


class Phase(Enum):
    WAITING = "waiting"
    RESTORING = "restoring"
    PREFILLING = "prefilling"
    DECODING = "decoding"
    ENDING = "ending"


@dataclass(slots=True)
class Turn:
    """`tokens` is prompt and answer so far; the first `position` of them are in the runtime's cache, the first
    `kept` of them in the blocks of `chain`. `marks` are further positions worth coming back to, such as the end of a
    system prompt.
    """

    id: TurnId
    root: BlockHash
    tokens: list[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    stop_tokens: frozenset[int] = frozenset()
    phase: Phase = Phase.WAITING
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    position: int = 0
    finish: FinishReason | None = None
    chain: list[CacheBlock] = field(default_factory=list)
    marks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.tokens)

    @property
    def tip(self) -> BlockHash:
        return self.chain[-1].hash if self.chain else self.root

    @property
    def kept(self) -> int:
        return self.chain[-1].end if self.chain else 0

    @property
    def generated(self) -> int:
        return len(self.tokens) - self.prompt_tokens

    @property
    def longest(self) -> int:
        """How many tokens it can come to hold."""
        return self.prompt_tokens + self.max_tokens

    def unsaved(self, block_tokens: int) -> list[CacheBlock]:
        """The whole blocks, and once it is ending the partial last one, that are computed and not yet kept."""
        blocks, parent, start = [], self.tip, self.kept
        while start < self.position:
            stop = min(start + block_tokens, self.position)
            if stop - start < block_tokens and self.phase is not Phase.ENDING:
                break
            block = CacheBlock.after(parent, start, pack(self.tokens[start:stop]))
            blocks.append(block)
            parent, start = block.hash, stop
        return blocks

    def take(self, token: int) -> None:
        """Append what the model said, and end where it ends the answer."""
        self.tokens.append(token)
        if token in self.stop_tokens:
            self.end("stop")
        elif self.generated >= self.max_tokens:
            self.end("length")

    def end(self, reason: FinishReason) -> None:
        self.finish = reason
        self.phase = Phase.ENDING

    def requeue(self) -> None:
        """Start over from what is kept: the tokens so far are the new prompt to read."""
        self.phase = Phase.WAITING
        self.position = 0
        self.chain.clear()
