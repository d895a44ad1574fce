"""What a conversation says, piece by piece, and the whole of it.

Knows neither a dialect's events nor where the pieces come from.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

from agent_memory.domain.chat import ToolCall
from agent_memory.domain.errors import GenerationFailed


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A token's text, and the natural logarithm of its probability."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """One that was said, and the likeliest in its place."""

    said: Likelihood
    likeliest: tuple[Likelihood, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """`tokens`, where log-probabilities are asked for: those since the last delta, whose text may come later."""

    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model thinks before it answers: told apart, and no part of the answer."""

    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class CallBegun:
    """The model calls a tool. An answer's calls are numbered from 0, and told one after the other."""

    number: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A piece of the JSON text of the call's arguments."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Reuse:
    """Where a prompt's first tokens came from, and the first that differs from all that is stored: its place, and the
    message it falls in, as far as that can be told. None when everything that could be reused is stored.
    """

    memory_tokens: int
    disk_tokens: int
    known_tokens: int
    different_token: int | None = None
    different_message: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """How much there is to read, and how much of it was read before; told first, where a prompt wants it announced."""

    prompt_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Finish:
    """`stopped_by` is the stop string that ended it, if one did."""

    reason: Literal["stop", "length", "tool_calls"]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reuse: Reuse | None = None
    stopped_by: str | None = None
    reasoning_tokens: int = 0


Piece = Begun | Delta | Thought | CallBegun | CallArguments | Finish
Reply = AsyncGenerator[Piece, None]


@dataclass(slots=True)
class Answer:
    """One reply, as far as it has been told."""

    parts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    finish: Finish | None = None

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def reasoning(self) -> str:
        return "".join(self.thoughts)

    def hear(self, piece: Piece) -> None:
        match piece:
            case Delta(text, tokens):
                self.parts.append(text)
                self.tokens += tokens
            case Thought(text, tokens):
                self.thoughts.append(text)
                self.tokens += tokens
            case CallBegun(_, id_, name):
                self.calls.append(ToolCall(id_, name, ""))
            case CallArguments(number, text):
                call = self.calls[number]
                self.calls[number] = ToolCall(call.id, call.name, call.arguments + text)
            case Finish():
                self.finish = piece
            case Begun():
                pass

    @property
    def ended(self) -> Finish:
        """Raises GenerationFailed when it has not."""
        if self.finish is None:
            raise GenerationFailed("the answer ended without a reason")
        return self.finish


async def whole(reply: Reply) -> Answer:
    answer = Answer()
    async with aclosing(reply):
        async for piece in reply:
            answer.hear(piece)
    return answer
