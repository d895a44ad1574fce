"""Prompts become tokens, and tokens text, beside the event loop: rendering a long one takes milliseconds it has not.

A tokenizer serves one at a time, and so does its scribe.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from agent_memory.application.prompt import Prompt
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.volatile import steadied
from agent_memory.ports.language import ChatTokenizer, Rendered

T = TypeVar("T")


class Scribe:
    """Where it is `steady`, what agents write anew into every system prompt is put where the prefix does not suffer."""

    def __init__(self, tokenizer: ChatTokenizer, *, steady: bool) -> None:
        self._tokenizer = tokenizer
        self._steady = steady
        self._last: tuple[Prompt, Prompt, Rendered] | None = None  # as it was asked, as it was read, its tokens
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")

    async def run(self, work: Callable[[], T]) -> T:
        """On its own thread, after what it was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def later(self, work: Callable[[], None]) -> None:
        """The same, and nobody waits for it. What is asked afterwards is done after it."""
        with suppress(RuntimeError):  # it is closed
            self._thread.submit(work)

    async def read(self, prompt: Prompt) -> tuple[Prompt, Rendered]:
        """The prompt as it is read, and its tokens. Raises InvalidInput."""
        return await self.run(partial(self._read, prompt))

    async def message_of(self, prompt: Prompt, token: int) -> int | None:
        """Which message of the prompt, as it is read, the token falls in."""
        where = partial(self._tokenizer.message_of, prompt.messages, token, prompt.use.tools)
        return await self.run(partial(where, thinking=prompt.thinking))

    async def spell(self, tokens: Sequence[int]) -> str:
        """Their text. Raises InvalidInput."""
        return await self.run(partial(self._spell, tokens))

    def check(self, field: str, tokens: Iterable[int]) -> None:
        """Raises InvalidInput for what is no token of this model."""
        unknown = [token for token in tokens if token >= self._tokenizer.vocabulary]
        if unknown:
            limit = self._tokenizer.vocabulary - 1
            raise InvalidInput(field, f"{unknown[0]} is no token of this model: the last is {limit}")

    def _read(self, prompt: Prompt) -> tuple[Prompt, Rendered]:
        """The choices of one request are asked for one after the other, and read once."""
        if self._last is None or not _alike(self._last[0], prompt):
            self._last = (prompt, *self._read_anew(prompt))
        _, read, rendered = self._last
        return replace(prompt, messages=read.messages), rendered

    def _read_anew(self, prompt: Prompt) -> tuple[Prompt, Rendered]:
        match prompt.given:
            case None:
                read = replace(prompt, messages=steadied(prompt.messages)) if self._steady else prompt
                tools, thinking = prompt.use.tools, prompt.thinking
                return read, self._tokenizer.render(read.messages, tools, thinking=thinking)
            case str(text):
                return prompt, Rendered([*self._tokenizer.beginning, *self._tokenizer.encode(text)])
            case tokens:
                self.check("prompt", tokens)
                return prompt, Rendered(list(tokens))

    def _spell(self, tokens: Sequence[int]) -> str:
        self.check("prompt", tokens)
        stream = self._tokenizer.stream()
        return "".join([*map(stream.add, tokens), stream.finish()])

    def close(self) -> None:
        self._thread.shutdown(wait=False)


def _alike(one: Prompt, other: Prompt) -> bool:
    """Whether they are the very same to read, and not only equal, which would take long to tell."""
    return (
        one.messages is other.messages
        and one.given is other.given
        and one.use is other.use
        and one.thinking == other.thinking
    )
