"""A conversation with the loaded model: what is asked, and what comes back piece by piece."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from agent_memory.domain.kv.turn import Sampling


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int | None
    stop: tuple[str, ...] = ()
    tenant: str = "default"


@dataclass(frozen=True, slots=True)
class Delta:
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    reason: Literal["stop", "length"]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class EngineStats:
    turns_running: int = 0


class Conversation(Protocol):
    model_id: str
    created: int

    def reply(self, prompt: Prompt) -> AsyncGenerator[Delta | Finish, None]: ...

    def stats(self) -> EngineStats: ...
