"""A conversation with the loaded model: messages become tokens, tokens an answer, piece by piece.

Knows text and tokens, not where a prefix comes from: that is the engine's.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

from agent_memory.application.engine import EngineStats
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.stop_text import StopText
from agent_memory.domain.chat import Message
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.steps import Finished, Said, Started
from agent_memory.domain.kv.turn import FinishReason, Sampling, Turn, TurnId
from agent_memory.ports.kv import ChatTokenizer, Rendered, TextStream

__all__ = ["Conversation", "Delta", "EngineStats", "Finish", "Message", "Prompt", "Sampling"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """`max_tokens` None is the model's default."""

    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int | None = None
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


Reply = AsyncGenerator[Delta | Finish, None]


@dataclass(slots=True)
class _Answer:
    """One answer on its way from tokens to text."""

    text: TextStream
    stop: StopText
    stop_tokens: frozenset[int]
    prompt_tokens: int
    cached_tokens: int = 0
    completion_tokens: int = 0

    def hear(self, token: int) -> str:
        self.completion_tokens += 1
        return "" if token in self.stop_tokens else self.stop.add(self.text.add(token))

    def rest(self) -> str:
        shown = self.stop.add(self.text.finish())
        return shown if self.stop.stopped else shown + self.stop.finish()

    def end(self, reason: FinishReason) -> Finish:
        at_length = reason == "length" and not self.stop.stopped
        ended: Literal["stop", "length"] = "length" if at_length else "stop"
        return Finish(ended, self.prompt_tokens, self.cached_tokens, self.completion_tokens)


class Conversation:
    """`max_context` is how many tokens prompt and answer may have together."""

    def __init__(
        self,
        engine: EngineThread,
        tokenizer: ChatTokenizer,
        *,
        model_id: str,
        created: int,
        max_context: int,
        max_tokens: int = 256,
    ) -> None:
        self.model_id = model_id
        self.created = created
        self._engine = engine
        self._tokenizer = tokenizer
        self._max_context = max_context
        self._max_tokens = max_tokens
        # Rendering a long prompt takes milliseconds that the event loop has not; a tokenizer serves one at a time.
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")

    def stats(self) -> EngineStats:
        return self._engine.stats()

    async def check(self) -> None:
        """Raises Unavailable when no reply could be had."""
        self._engine.check()

    async def reply(self, prompt: Prompt) -> Reply:
        """Raises InvalidInput, Overloaded, Unavailable or GenerationFailed. Closing it ends the turn."""
        loop = asyncio.get_running_loop()
        rendered = await loop.run_in_executor(self._scribe, self._tokenizer.render, prompt.messages)
        turn = self._turn(prompt, rendered)
        answer = _Answer(self._tokenizer.stream(), StopText(prompt.stop), turn.stop_tokens, turn.prompt_tokens)
        async with aclosing(self._engine.run(turn)) as events:
            async for piece in self._speak(events, answer):
                yield piece

    async def _speak(self, events: AsyncIterator[Started | Said | Finished], answer: _Answer) -> Reply:
        async for event in events:
            match event:
                case Started(_, cached):
                    answer.cached_tokens = cached
                case Said(_, token):
                    if text := answer.hear(token):
                        yield Delta(text)
                    if answer.stop.stopped:
                        yield answer.end("stop")
                        return
                case Finished(_, reason):
                    if rest := answer.rest():
                        yield Delta(rest)
                    yield answer.end(reason)

    def _turn(self, prompt: Prompt, rendered: Rendered) -> Turn:
        if not rendered.tokens:
            raise InvalidInput("messages", "there is nothing in them for the model to read")
        room = self._max_context - len(rendered.tokens)
        wanted = prompt.max_tokens or min(self._max_tokens, max(room, 1))
        if wanted > room:
            raise InvalidInput(
                "messages",
                f"{len(rendered.tokens)} prompt tokens and {wanted} for the answer exceed "
                f"the model's context of {self._max_context} tokens",
            )
        sampling = prompt.sampling
        if sampling.seed is None:
            sampling = replace(sampling, seed=secrets.randbits(32))
        return Turn(
            TurnId(uuid4().hex),
            self._engine.namespace(prompt.tenant).root,
            rendered.tokens,
            wanted,
            sampling,
            self._tokenizer.stop_tokens,
            marks=rendered.marks,
            answers=rendered.answers,
        )

    def close(self) -> None:
        self._scribe.shutdown(wait=False)
