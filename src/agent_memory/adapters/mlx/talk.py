"""A conversation as a model's chat template writes it, and where in that text its system prompt and its answers lie.

Knows characters, not tokens. Where an answer begins only the template can tell, by writing all that came before it:
once for each answer. So what it told is remembered from turn to turn, and held against the text again.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

from jinja2 import TemplateError

from agent_memory.adapters.mlx.speech import as_template_reads
from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.speech import told

# What a template raises, and what it makes others raise.
REFUSALS = (TemplateError, TypeError, ValueError, RecursionError)

_MARGIN = 4  # characters that a template may put between the generation prompt and the answer
_MOST_REMEMBERED = 20_000  # answers, of 200 bytes or so

Written = tuple[int, bytes]  # a text, by its length and digest


class AskedCache:
    """How what came before an answer was written; the least recently asked for goes first."""

    def __init__(self) -> None:
        self._written: OrderedDict[bytes, Written | None] = OrderedDict()

    def get(self, key: bytes, write: Callable[[], Written | None]) -> Written | None:
        if key not in self._written:
            self._written[key] = write()
            if len(self._written) > _MOST_REMEMBERED:
                self._written.popitem(last=False)
        self._written.move_to_end(key)
        return self._written[key]


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation as the template writes it. `template` is ours, where the model brings none. It may know nothing
    of tools, or take no `system` prompt.
    """

    tokenizer: Any
    template: str | None
    messages: Sequence[Message]
    tools: Sequence[Tool]
    knows_tools: bool
    system: bool
    thinking: bool
    asked: AskedCache

    def text(self) -> str:
        return self._apply(self.messages, speak=True)

    def message_at(self, at: int, text: str) -> int | None:
        """The number of the message that the character is of. Raises one of `REFUSALS` if it cannot be told."""

        def end(number: int) -> int:
            alone = self._apply(self.messages[: number + 1], speak=False)
            if not text.startswith(alone):
                raise ValueError("a message is not written alone as it is in company")
            return len(alone)

        number = bisect_right(range(len(self.messages)), at, key=end)
        return number if number < len(self.messages) else None

    def system_end(self, text: str) -> list[int]:
        """The character where the system prompt ends, if the template renders it alone as it does in company."""
        given = self.messages[:1] if self.messages and self.messages[0].role == "system" else ()
        if not given and (self.knows_tools or not self.tools or not self.system):
            return []
        with suppress(*REFUSALS):
            alone = self._apply(given, speak=False)
            return [len(alone)] if text.startswith(alone) else []
        return []

    def answers(self, text: str) -> list[tuple[int, int]]:
        """The characters where each answer begins, as the model was asked for it, and ends.

        A template may put a space before an answer, or leave parts of it out; then it ends where it begins, and only
        that place is known.
        """
        found = []
        beginnings = _Beginnings(text)
        for number, key in self._keys():
            asked = self.asked.get(key, partial(self._asked, number))
            if asked is not None and beginnings.digest(asked[0]) == asked[1]:
                start, message = asked[0], self.messages[number]
                said = (message if self.knows_tools else told([message], self.tools)[-1]).content.strip()
                at = text.find(said, start, start + len(said) + _MARGIN)
                found.append((start, start if at < 0 else at + len(said)))
        return found

    def _keys(self) -> Iterator[tuple[int, bytes]]:
        """The number of each answer, and what all that its text can depend on comes down to: some templates write
        the date.
        """
        today = datetime.now(UTC).astimezone().date()
        key = blake2b(repr((today, self.template, self.tools, self.system, self.thinking)).encode(), digest_size=16)
        for number, message in enumerate(self.messages):
            if message.role == "assistant" and number:
                yield number, key.digest()
            key.update(repr(message).encode())

    def _asked(self, number: int) -> Written | None:
        """What the model was asked with for this answer."""
        with suppress(*REFUSALS):
            asked = self._apply(self.messages[:number], speak=True)
            return len(asked), _Beginnings(asked).digest(len(asked))
        return None

    def _apply(self, messages: Sequence[Message], *, speak: bool) -> str:
        # Thinking is a template's own default; where it is off, some templates write an empty thought into the
        # generation prompt only, and no later prompt begins with this one.
        extra: dict[str, Any] = {"enable_thinking": self.thinking}
        if self.template is not None:
            extra["chat_template"] = self.template
        if self.knows_tools:
            plain, functions = as_template_reads(messages, self.tools)
            if functions:
                extra["tools"] = functions
        else:
            plain, _ = as_template_reads(told(messages, self.tools, system=self.system), ())
        return str(self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=speak, **extra))


class _Beginnings:
    """The digests of beginnings of a text, in one pass where each is longer than the one before."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start_over()

    def _start_over(self) -> None:
        self._length, self._digest = 0, blake2b(digest_size=16)

    def digest(self, length: int) -> bytes:
        if length < self._length:
            self._start_over()
        self._digest.update(self._text[self._length : length].encode(errors="surrogatepass"))
        self._length = length
        return self._digest.digest()
