"""The model's tokenizer and chat template. Text in, tokens out, and back, token by token."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from agent_memory.domain.chat import Message
from agent_memory.domain.errors import InvalidInput
from agent_memory.ports.kv import Rendered

# For models that bring none: plain turns, each closed before the next begins, so that a longer conversation
# starts with the very text of the shorter one.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

_REFUSALS = (TemplateError, TypeError, ValueError)  # what a template raises, and what it makes others raise
_MARGIN = 4  # characters that a template may put between the generation prompt and the answer


class MlxTextStream:
    """Decodes from a few tokens back, so that a character spread over several tokens, or a space that a tokenizer
    gives only inside a text, comes out as it does when all are decoded at once.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._context = 0  # where the piece that is decoded again for context begins
        self._read = 0  # tokens whose text has been given

    def add(self, token: int) -> str:
        self._tokens.append(token)
        text = self._decode(self._context, len(self._tokens))
        if text.endswith("�") and len(self._tokens) - self._read < 8:
            return ""  # most likely the beginning of a character; it never takes more than a few tokens
        return self._advance(text)

    def finish(self) -> str:
        return self._advance(self._decode(self._context, len(self._tokens)))

    def _advance(self, text: str) -> str:
        fresh = text[len(self._decode(self._context, self._read)) :]
        self._context, self._read = self._read, len(self._tokens)
        return fresh

    def _decode(self, start: int, stop: int) -> str:
        tokens = self._tokens[start:stop]
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)


class MlxChatTokenizer:
    """`tokenizer` is mlx-lm's wrapper of the model's own."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._template = None if tokenizer.has_chat_template else PLAIN_TEMPLATE
        if tokenizer.is_fast:
            # Saved with some models for their training; a prompt is never cut or padded in silence.
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()

    @property
    def stop_tokens(self) -> frozenset[int]:
        return frozenset(self._tokenizer.eos_token_ids)

    @cached_property
    def vocabulary(self) -> int:
        return int(max(self._tokenizer.get_vocab().values())) + 1

    @property
    def fast(self) -> bool:
        return bool(self._tokenizer.is_fast)

    def definition(self) -> str:
        """As the tokenizers library reads and writes it; of a fast one only."""
        return str(self._tokenizer.backend_tokenizer.to_str())

    @property
    def beginning(self) -> tuple[int, ...]:
        added = self._tokenizer.encode("", add_special_tokens=True)
        return tuple(token for token in added[:1] if token == self._tokenizer.bos_token_id)

    def encode(self, text: str) -> list[int]:
        return self._encode(text)[0]

    def render(self, messages: Sequence[Message]) -> Rendered:
        try:
            text = self._apply(messages, speak=True)
            marks = self._system_end(messages, text)
            answers = self._answers(messages, text)
        except _REFUSALS as error:
            raise InvalidInput("messages", f"the model's chat template refuses them: {error}") from error
        tokens, starts = self._encode(text)
        return Rendered(
            tokens,
            tuple(starts[mark] for mark in marks if mark in starts),
            tuple((starts[a], starts[b]) for a, b in answers if a in starts and b in starts),
        )

    def _encode(self, text: str) -> tuple[list[int], dict[int, int]]:
        """Tokens, and for each character that begins a token which one. Slow tokenizers do not tell."""
        if not self._tokenizer.is_fast:
            return list(self._tokenizer.encode(text, add_special_tokens=False)), {}
        encoded = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        return list(encoded.ids), {start: i for i, (start, _) in reversed(list(enumerate(encoded.offsets)))}

    def _system_end(self, messages: Sequence[Message], text: str) -> list[int]:
        """The character where the system prompt ends, if the template renders it alone as it does in company."""
        if not messages or messages[0].role != "system":
            return []
        with suppress(*_REFUSALS):
            alone = self._apply(messages[:1], speak=False)
            return [len(alone)] if text.startswith(alone) else []
        return []

    def _answers(self, messages: Sequence[Message], text: str) -> list[tuple[int, int]]:
        """The characters where each answer begins, as the model was asked for it, and ends.

        A template may put a space before an answer, or leave parts of it out; then it ends where it begins, and only
        that place is known.
        """
        found = []
        for number, message in enumerate(messages):
            if message.role != "assistant" or number == 0:
                continue
            with suppress(*_REFUSALS):
                asked = self._apply(messages[:number], speak=True)
                if text.startswith(asked):
                    said = message.content.strip()
                    at = text.find(said, len(asked), len(asked) + len(said) + _MARGIN)
                    found.append((len(asked), len(asked) if at < 0 else at + len(said)))
        return found

    def message_of(self, messages: Sequence[Message], token: int) -> int | None:
        with suppress(*_REFUSALS):
            text = self._apply(messages, speak=True)
            at = {number: character for character, number in self._encode(text)[1].items()}.get(token)
            ends = [self._apply(messages[:count], speak=False) for count in range(1, len(messages) + 1)]
            if at is not None and all(text.startswith(end) for end in ends):
                return next((number for number, end in enumerate(ends) if at < len(end)), None)
        return None

    def _apply(self, messages: Sequence[Message], *, speak: bool) -> str:
        plain = [{"role": message.role, "content": message.content} for message in messages]
        # Thinking is a template's own default; where it is off, some templates write an empty thought into the
        # generation prompt only, and no later prompt begins with this one.
        extra: dict[str, Any] = {"enable_thinking": True}
        if self._template is not None:
            extra["chat_template"] = self._template
        return str(self._tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=speak, **extra))

    def text_of(self, token: int) -> str:
        return str(self._tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def stream(self) -> MlxTextStream:
        return MlxTextStream(self._tokenizer)
