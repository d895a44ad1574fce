"""The model's tokenizer and chat template. Text in, tokens out, and back, token by token."""

from collections.abc import Sequence
from contextlib import suppress
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

    @property
    def stop_tokens(self) -> frozenset[int]:
        return frozenset(self._tokenizer.eos_token_ids)

    def render(self, messages: Sequence[Message]) -> Rendered:
        try:
            tokens = self._apply(messages, speak=True)
        except TemplateError as error:
            raise InvalidInput("messages", f"the model's chat template refuses them: {error}") from error
        return Rendered(tokens, self._system_end(messages, tokens))

    def _system_end(self, messages: Sequence[Message], tokens: list[int]) -> tuple[int, ...]:
        """Where the system prompt ends, if the template renders it alone as it does in company."""
        system = [m for m in messages[:1] if m.role == "system"]
        if not system:
            return ()
        with suppress(TemplateError):
            alone = self._apply(system, speak=False)
            end = next((i for i, (a, b) in enumerate(zip(alone, tokens, strict=False)) if a != b), len(alone))
            return (min(end, len(tokens)),) if end else ()
        return ()

    def _apply(self, messages: Sequence[Message], *, speak: bool) -> list[int]:
        plain = [{"role": message.role, "content": message.content} for message in messages]
        extra = {} if self._template is None else {"chat_template": self._template}
        return list(self._tokenizer.apply_chat_template(plain, tokenize=True, add_generation_prompt=speak, **extra))

    def stream(self) -> MlxTextStream:
        return MlxTextStream(self._tokenizer)
