"""A conversation with the loaded model: messages become tokens, tokens an answer, piece by piece.

Knows text and tokens, not where a prefix comes from: that is the engine's.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from uuid import uuid4

from agent_memory.application.engine import EngineStats
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.replies import Delta, Finish, Likelihood, Reply, Reuse, Token
from agent_memory.application.stop_text import StopText
from agent_memory.domain.chat import NO_TOOLS, Message, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.constraint import Constraint
from agent_memory.domain.kv.steps import Finished, Logprobs, Said, Started
from agent_memory.domain.kv.turn import FinishReason, Sampling, Turn, TurnId
from agent_memory.domain.tenants import DEFAULT_TENANT, Reach
from agent_memory.ports.kv import ChatTokenizer, Grammar, GrammarCompiler, Rendered, TextStream

__all__ = [
    "Conversation",
    "EngineStats",
    "Grammar",
    "Message",
    "Prompt",
    "Sampling",
]


@dataclass(frozen=True, slots=True)
class Prompt:
    """`max_tokens` None is the model's default, `seconds` None as long as the server allows. With `explain`, the end of
    the reply tells where its cached tokens came from. What is not `stored` leaves nothing behind, in no tier and not
    in the book of its `agent`, who is of the same tenant. The answer keeps to the `grammar`.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tenant: str = DEFAULT_TENANT
    seconds: float | None = None
    explain: bool = False
    agent: AgentName | None = None
    stored: bool = True
    grammar: Grammar | None = None
    use: ToolUse = NO_TOOLS
    thinking: bool = True

    def within(self, reach: Reach) -> "Prompt":
        """The same of another caller, whose tenant's blocks alone it finds. Raises Forbidden for an agent beyond."""
        agent_id = reach.agent(None if self.agent is None else self.agent.id)
        agent = None if agent_id is None else AgentName(reach.tenant, agent_id)
        return replace(self, tenant=reach.tenant, agent=agent)


@dataclass(slots=True)
class _Answer:
    """One answer on its way from tokens to text."""

    text: TextStream
    stop: StopText
    stop_tokens: frozenset[int]
    prompt_tokens: int
    completion_tokens: int = 0
    started: Started | None = None
    reuse: Reuse | None = None
    tokens: list[Token] = field(default_factory=list)
    shown: int = 0
    lengths: list[int] = field(default_factory=list)

    def hear(self, token: int) -> str:
        """What may be shown now."""
        self.completion_tokens += 1
        text = "" if token in self.stop_tokens else self.text.add(token)
        self.lengths.append((self.lengths[-1] if self.lengths else 0) + len(text))
        return self._show(self.stop.add(text))

    def rest(self) -> str:
        shown = self.stop.add(self.text.finish())
        return self._show(shown if self.stop.stopped else shown + self.stop.finish())

    def _show(self, text: str) -> str:
        self.shown += len(text)
        return text

    def delta(self, text: str) -> Delta | None:
        """What there is to tell, if there is anything."""
        tokens, self.tokens = tuple(self.tokens), []
        return Delta(text, tokens) if text or tokens else None

    def whole_tokens(self) -> int | None:
        """How many tokens make up what was shown; None where it ends inside one."""
        return self.lengths.index(self.shown) + 1 if self.shown in self.lengths else None

    def end(self, reason: FinishReason) -> Finish:
        at_length = reason == "length" and not self.stop.stopped
        cached = self.started.cached_tokens if self.started else 0
        return Finish("length" if at_length else "stop", self.prompt_tokens, cached, self.completion_tokens, self.reuse)


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
        max_seconds: float | None = None,
        grammars: GrammarCompiler | None = None,
    ) -> None:
        self.model_id = model_id
        self.created = created
        self._engine = engine
        self._tokenizer = tokenizer
        self._max_context = max_context
        self._max_tokens = max_tokens
        self._max_seconds = max_seconds
        self._grammars = grammars
        # Rendering a long prompt takes milliseconds that the event loop has not; a tokenizer serves one at a time.
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")

    def stats(self) -> EngineStats:
        return self._engine.stats()

    async def check(self) -> None:
        """Raises Unavailable when no reply could be had."""
        self._engine.check()

    async def reply(self, prompt: Prompt) -> Reply:
        """Raises InvalidInput, Overloaded, Unavailable, DeadlineExceeded or GenerationFailed. Closing it ends the
        turn.
        """
        loop = asyncio.get_running_loop()
        rendered = await loop.run_in_executor(self._scribe, self._tokenizer.render, prompt.messages)
        constraint = await loop.run_in_executor(self._scribe, self._compile, prompt.grammar)
        turn = self._turn(prompt, rendered, constraint)
        answer = _Answer(self._tokenizer.stream(), StopText(prompt.stop), turn.stop_tokens, turn.prompt_tokens)
        async with aclosing(self._engine.run(turn)) as events:
            async for piece in self._speak(events, answer, prompt):
                yield piece
            if answer.stop.stopped and (whole := answer.whole_tokens()) is not None:
                self._engine.conclude(turn.id, whole)

    async def foresee(self, prompt: Prompt) -> Finish:
        """How much of the prompt would not be read, and why not more. Nothing is computed, and nothing changes."""
        loop = asyncio.get_running_loop()
        rendered = await loop.run_in_executor(self._scribe, self._tokenizer.render, prompt.messages)
        turn = self._turn(prompt, rendered, None)
        started = await self._engine.ask(lambda engine: engine.scheduler.foresee(turn))
        reuse = await self._explain(started, turn.prompt_tokens, prompt.messages)
        return Finish("length", turn.prompt_tokens, started.cached_tokens, 0, reuse)

    async def _speak(self, events: AsyncIterator[Started | Said | Finished], answer: _Answer, prompt: Prompt) -> Reply:
        async for event in events:
            match event:
                case Started():
                    answer.started = event
                    if prompt.explain:
                        answer.reuse = await self._explain(event, answer.prompt_tokens, prompt.messages)
                case Said(_, token, logprobs):
                    text = answer.hear(token)
                    if logprobs is not None and token not in answer.stop_tokens:
                        answer.tokens.append(self._token(token, logprobs))
                    if text and (delta := answer.delta(text)):
                        yield delta
                    if answer.stop.stopped:
                        yield answer.end("stop")
                        return
                case Finished(_, reason):
                    if delta := answer.delta(answer.rest()):
                        yield delta
                    yield answer.end(reason)

    def _token(self, token: int, logprobs: Logprobs) -> Token:
        spell = self._tokenizer.text_of
        likeliest = tuple(Likelihood(spell(other), logprob) for other, logprob in logprobs.likeliest)
        return Token(Likelihood(spell(token), logprobs.said), likeliest)

    async def _explain(self, started: Started, prompt_tokens: int, messages: tuple[Message, ...]) -> Reuse:
        known, message = started.known_tokens, None
        differs = known < prompt_tokens - 1  # the last token is always read, known or not
        if differs:
            loop = asyncio.get_running_loop()
            message = await loop.run_in_executor(self._scribe, self._tokenizer.message_of, messages, known)
        memory = started.cached_tokens - started.disk_tokens
        return Reuse(memory, started.disk_tokens, known, known if differs else None, message)

    def _compile(self, grammar: Grammar | None) -> Constraint | None:
        if grammar is None:
            return None
        if self._grammars is None:
            raise InvalidInput(grammar.field, "the model that is loaded cannot be kept to one")
        return self._grammars.compile(grammar)

    def _turn(self, prompt: Prompt, rendered: Rendered, constraint: Constraint | None) -> Turn:
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
        unknown = [token for token, _ in prompt.sampling.logit_bias if token >= self._tokenizer.vocabulary]
        if unknown:
            limit = self._tokenizer.vocabulary - 1
            raise InvalidInput("logit_bias", f"{unknown[0]} is no token of this model: the last is {limit}")
        seed = secrets.randbits(32) if prompt.sampling.seed is None else prompt.sampling.seed
        sampling = replace(prompt.sampling, seed=seed, constraint=constraint)
        return Turn(
            TurnId(uuid4().hex),
            self._engine.namespace(prompt.tenant).root,
            rendered.tokens,
            wanted,
            sampling,
            self._tokenizer.stop_tokens,
            marks=rendered.marks,
            answers=rendered.answers,
            deadline=self._deadline(prompt.seconds),
            agent=prompt.agent,
            stored=prompt.stored,
        )

    def _deadline(self, seconds: float | None) -> float | None:
        limits = [limit for limit in (seconds, self._max_seconds) if limit is not None]
        return time.monotonic() + min(limits) if limits else None

    def close(self) -> None:
        self._scribe.shutdown(wait=False)
