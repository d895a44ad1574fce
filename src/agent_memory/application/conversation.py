"""A conversation with the loaded model: messages become tokens, tokens an answer, piece by piece.

Knows text and tokens, not where a prefix comes from: that is the engine's.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import NoReturn, TypeVar
from uuid import uuid4

from agent_memory.application.engine_stats import EngineStats
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.manner import Manner
from agent_memory.application.next_turn import beginnings
from agent_memory.application.prompt import ContextExceeded, Prompt
from agent_memory.application.replies import Answer, Begun, Finish, Likelihood, Reply, Reuse, Token
from agent_memory.application.scribe import Scribe
from agent_memory.application.spoken import Spoken
from agent_memory.domain.chat import Message
from agent_memory.domain.errors import DeadlineExceeded, InvalidInput
from agent_memory.domain.kv.constraint import Constraint
from agent_memory.domain.kv.steps import Finished, Logprobs, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId
from agent_memory.ports.language import ChatTokenizer, Form, Grammar, GrammarCompiler, Rendered

T = TypeVar("T")

__all__ = [
    "Conversation",
    "EngineStats",
    "Grammar",
    "Message",
    "Prompt",
    "Sampling",
]


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
        steady: bool = False,
    ) -> None:
        self.model_id = model_id
        self.created = created
        self._engine = engine
        self._tokenizer = tokenizer
        self._max_context = max_context
        self._max_tokens = max_tokens
        self._max_seconds = max_seconds
        self._grammars = grammars
        self._scribe = Scribe(tokenizer, steady=steady)

    @property
    def thinks(self) -> bool:
        """Whether the model can think before it answers."""
        return self._tokenizer.speech.thought is not None

    def stats(self) -> EngineStats:
        return self._engine.stats()

    async def check(self) -> None:
        """Raises Unavailable when no reply could be had."""
        self._engine.check()

    async def reply(self, prompt: Prompt) -> Reply:
        """Raises InvalidInput, Overloaded, Unavailable, DeadlineExceeded or GenerationFailed. Closing it ends the
        turn.
        """
        deadline = self._deadline(prompt.seconds)
        self._refuse_endless(prompt)
        prompt, rendered, manner, turn = await _in_time(self._prepared(prompt, deadline), deadline)
        answer = Spoken(turn, self._tokenizer.stream(), manner.utterance(), prompt.stop)
        told = Answer()
        async with aclosing(self._engine.run(turn)) as events:
            async for piece in self._speak(events, answer, prompt):
                told.hear(piece)
                if isinstance(piece, Finish):  # before it is told: whoever has heard the end may not listen on
                    self._keep(prompt, rendered, answer, told, turn)
                yield piece

    async def _prepared(self, prompt: Prompt, deadline: float | None) -> tuple[Prompt, Rendered, Manner, Turn]:
        """What it costs to find out that a turn cannot be had comes in this order: the cheap first."""
        prompt, rendered = await self._scribe.read(prompt)
        manner = Manner.of(prompt, self._tokenizer.speech, rendered, constrained=self._grammars is not None)
        turn = replace(self._turn(prompt, rendered), deadline=deadline)
        constraint = await self._scribe.run(partial(self._compile, manner.form))
        return prompt, rendered, manner, replace(turn, sampling=replace(turn.sampling, constraint=constraint))

    def _refuse_endless(self, prompt: Prompt) -> None:
        """What is far beyond the context is not read to count its tokens."""
        if prompt.least_tokens > self._max_context:
            self._refuse_size(prompt, f"at least {prompt.least_tokens}", prompt.max_tokens or 1)

    def _refuse_size(self, prompt: Prompt, size: str, wanted: int) -> NoReturn:
        field = _field_of(prompt)
        if prompt.at_most:
            raise ContextExceeded(field, f"prompt is too long: {size} tokens > {self._max_context - 1} maximum")
        limit = f"the model's context of {self._max_context} tokens"
        raise ContextExceeded(field, f"{size} prompt tokens and {wanted} for the answer exceed {limit}")

    def _keep(self, prompt: Prompt, rendered: Rendered, answer: Spoken, told: Answer, turn: Turn) -> None:
        """Of an answer that has ended: what of it, and in which forms."""
        if answer.stopped and (whole := answer.whole_tokens()) is not None:
            self._engine.conclude(turn.id, whole)
        other_forms = told.calls or self.thinks
        if prompt.stored and prompt.given is None and other_forms and told.ended.reason != "length":
            spoken = [*rendered.tokens, *answer.tokens]
            self._scribe.later(partial(self._rehearse, prompt, told, spoken))

    def _rehearse(self, prompt: Prompt, told: Answer, spoken: list[int]) -> None:
        """Have the next prompt's beginning read, where it is not what was spoken."""
        with suppress(InvalidInput):  # the template refuses such a next prompt
            for begun in beginnings(prompt, told, spoken, self._tokenizer):
                turn = self._turn(replace(prompt, max_tokens=1, sampling=Sampling()), begun)
                rehearsal = replace(turn, max_tokens=0, stop_tokens=frozenset(), only_read=True)
                self._engine.rehearse(rehearsal)

    async def count(self, prompt: Prompt) -> int:
        """The tokens of the prompt, as `reply` would read them; of one that is too long as well."""
        _, rendered = await self._scribe.read(prompt)
        return len(rendered.tokens)

    async def spell(self, tokens: Sequence[int]) -> str:
        """Their text. Raises InvalidInput for what is no token of the model."""
        return await self._scribe.spell(tokens)

    async def foresee(self, prompt: Prompt) -> Finish:
        """How much of the prompt would not be read, and why not more. Nothing is computed, and nothing changes."""
        self._refuse_endless(prompt)
        prompt, rendered = await self._scribe.read(prompt)
        turn = self._turn(prompt, rendered)
        started = await self._engine.ask(lambda engine: engine.scheduler.foresee(turn))
        reuse = await self._explain(started, turn.prompt_tokens, prompt)
        return Finish("length", turn.prompt_tokens, started.cached_tokens, 0, reuse)

    async def _speak(self, events: AsyncIterator[Started | Said | Finished], answer: Spoken, prompt: Prompt) -> Reply:
        async for event in events:
            match event:
                case Started():
                    answer.started = event
                    if prompt.announced:
                        yield Begun(answer.prompt_tokens, event.cached_tokens)
                    if prompt.explain:
                        answer.reuse = await self._explain(event, answer.prompt_tokens, prompt)
                case Said(_, token, logprobs):
                    told = None if logprobs is None else self._token(token, logprobs)
                    for piece in answer.hear(token, told):
                        yield piece
                    if answer.stopped:
                        yield answer.end("stop")
                        return
                case Finished(_, reason):
                    for piece in answer.rest():
                        yield piece
                    yield answer.end(reason)

    def _token(self, token: int, logprobs: Logprobs) -> Token:
        spell = self._tokenizer.text_of
        likeliest = tuple(Likelihood(spell(other), logprob) for other, logprob in logprobs.likeliest)
        return Token(Likelihood(spell(token), logprobs.said), likeliest)

    async def _explain(self, started: Started, prompt_tokens: int, prompt: Prompt) -> Reuse:
        known, message = started.known_tokens, None
        differs = known < prompt_tokens - 1  # the last token is always read, known or not
        if differs:
            message = await self._scribe.message_of(prompt, known)
        memory = started.cached_tokens - started.disk_tokens
        return Reuse(memory, started.disk_tokens, known, known if differs else None, message)

    def _compile(self, form: Form | None) -> Constraint | None:
        if form is None:
            return None
        if self._grammars is None:
            field = form.grammar.field if form.grammar else "tool_choice"
            raise InvalidInput(field, "the model that is loaded cannot be kept to one")
        return self._grammars.compile(form)

    def _turn(self, prompt: Prompt, rendered: Rendered) -> Turn:
        """Raises InvalidInput for what there is no room for."""
        if not rendered.tokens:
            raise InvalidInput(_field_of(prompt), "there is nothing in it for the model to read")
        size = len(rendered.tokens)
        room = self._max_context - size
        wanted = prompt.max_tokens or min(self._max_tokens, max(room, 1))
        wanted = min(wanted, max(room, 1)) if prompt.at_most else wanted
        if wanted > room:
            self._refuse_size(prompt, str(size), wanted)
        self._scribe.check("logit_bias", (token for token, _ in prompt.sampling.logit_bias))
        seed = secrets.randbits(32) if prompt.sampling.seed is None else prompt.sampling.seed
        return Turn(
            TurnId(uuid4().hex),
            self._engine.namespace(prompt.tenant).root,
            list(rendered.tokens),
            wanted,
            replace(prompt.sampling, seed=seed),
            self._tokenizer.stop_tokens,
            marks=rendered.marks,
            answers=rendered.answers,
            agent=prompt.agent,
            stored=prompt.stored,
        )

    def _deadline(self, seconds: float | None) -> float | None:
        limits = [limit for limit in (seconds, self._max_seconds) if limit is not None]
        return time.monotonic() + min(limits) if limits else None

    def close(self) -> None:
        self._scribe.close()


def _field_of(prompt: Prompt) -> str:
    return "messages" if prompt.given is None else "prompt"


async def _in_time(work: Awaitable[T], deadline: float | None) -> T:
    """Raises DeadlineExceeded once it is too late; what has not begun by then is not done."""
    try:
        async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
            return await work
    except TimeoutError:
        raise DeadlineExceeded from None
