"""The model's tokenizer and chat template. Text in, tokens out, and back, token by token."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from agent_memory.adapters.mlx.speech import as_template_reads, speech_of
from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.speech import told
from agent_memory.ports.kv import Rendered

# For models that bring none: plain turns, each closed before the next begins, so that a longer conversation
# starts with the very text of the shorter one.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

# What a template raises, and what it makes others raise.
_REFUSALS = (TemplateError, TypeError, ValueError, RecursionError)
_MARGIN = 4  # characters that a template may put between the generation prompt and the answer


class MlxTextStream:
    """Decodes from a few tokens back, so that a character spread over several tokens, or a space that a tokenizer
    gives only inside a text, comes out as it does when all are decoded at once. Tokens that are `unseen` have no text.
    """

    def __init__(self, tokenizer: Any, unseen: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._unseen = unseen
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
        tokens = [token for token in self._tokens[start:stop] if token not in self._unseen]
        text = self._tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return str(text)


class MlxChatTokenizer:
    """`tokenizer` is mlx-lm's wrapper of the model's own."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._template = None if tokenizer.has_chat_template else PLAIN_TEMPLATE
        self.speech = speech_of(tokenizer)
        self._knows_tools = bool(tokenizer.has_tool_calling) and self._template is None
        if tokenizer.is_fast:
            # Saved with some models for their training; a prompt is never cut or padded in silence.
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()

    @property
    def stop_tokens(self) -> frozenset[int]:
        return frozenset(self._tokenizer.eos_token_ids)

    @cached_property
    def _unseen(self) -> frozenset[int]:
        """Special tokens, but for those that are markers, or parts of them."""
        speech = self.speech
        markers = [speech.call.begin, speech.call.end]
        if speech.thought is not None:
            markers += [speech.thought.begin, speech.thought.end]
        seen = {token for marker in markers if marker for token in self.encode(marker)}
        return frozenset(self._tokenizer.all_special_ids) - seen

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

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, thinking: bool = True) -> Rendered:
        talk = self._talk(messages, tools, thinking=thinking)
        try:
            text = talk.text()
            marks = talk.system_end(text)
            answers = talk.answers(text)
        except _REFUSALS as error:
            raise InvalidInput("messages", f"the model's chat template refuses them: {error}") from error
        tokens, starts = self._encode(text)
        thought = self.speech.thought
        return Rendered(
            tokens,
            tuple(starts[mark] for mark in marks if mark in starts),
            tuple(self._spans(answers, tokens, starts)),
            thinking=thought is not None and text.rstrip().endswith(thought.begin),
        )

    def _encode(self, text: str) -> tuple[list[int], dict[int, int]]:
        """Tokens, and for each character that begins a token which one. Slow tokenizers do not tell."""
        if not self._tokenizer.is_fast:
            return list(self._tokenizer.encode(text, add_special_tokens=False)), {}
        encoded = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        return list(encoded.ids), {start: i for i, (start, _) in reversed(list(enumerate(encoded.offsets)))}

    def _spans(
        self, answers: Sequence[tuple[int, int]], tokens: list[int], starts: dict[int, int]
    ) -> Iterable[tuple[int, int]]:
        """From characters to tokens. Where the template ends an answer as the model does, it ends there."""
        asked = [starts.get(start) for start, _ in answers]
        for number, (start, (_, end)) in enumerate(zip(asked, answers, strict=True)):
            if start is None:
                continue
            limit = next((later for later in asked[number + 1 :] if later is not None), len(tokens))
            stop = next((i for i in range(start, limit) if tokens[i] in self.stop_tokens), starts.get(end))
            if stop is not None:
                yield start, stop

    def message_of(
        self, messages: Sequence[Message], token: int, tools: Sequence[Tool] = (), *, thinking: bool = True
    ) -> int | None:
        talk = self._talk(messages, tools, thinking=thinking)
        with suppress(*_REFUSALS):
            text = talk.text()
            at = {number: character for character, number in self._encode(text)[1].items()}.get(token)
            ends = [talk.until(count) for count in range(1, len(messages) + 1)]
            if at is not None and all(text.startswith(end) for end in ends):
                return next((number for number, end in enumerate(ends) if at < len(end)), None)
        return None

    def _talk(self, messages: Sequence[Message], tools: Sequence[Tool], *, thinking: bool) -> "_Talk":
        system = self._takes_system if tools and not self._knows_tools else True
        return _Talk(self._tokenizer, self._template, messages, tools, self._knows_tools, system, thinking)

    @cached_property
    def _takes_system(self) -> bool:
        """Some templates refuse a system prompt."""
        with suppress(*_REFUSALS):
            talk = (Message("system", "Be brief."), Message("user", "Hello."))
            return bool(self._talk(talk, (), thinking=True).text())
        return False

    def text_of(self, token: int) -> str:
        return str(self._tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def stream(self) -> MlxTextStream:
        return MlxTextStream(self._tokenizer, self._unseen)


@dataclass(frozen=True, slots=True)
class _Talk:
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

    def text(self) -> str:
        return self._apply(self.messages, speak=True)

    def until(self, count: int) -> str:
        """The first so many messages."""
        return self._apply(self.messages[:count], speak=False)

    def system_end(self, text: str) -> list[int]:
        """The character where the system prompt ends, if the template renders it alone as it does in company."""
        given = self.messages[:1] if self.messages and self.messages[0].role == "system" else ()
        if not given and (self.knows_tools or not self.tools or not self.system):
            return []
        with suppress(*_REFUSALS):
            alone = self._apply(given, speak=False)
            return [len(alone)] if text.startswith(alone) else []
        return []

    def answers(self, text: str) -> list[tuple[int, int]]:
        """The characters where each answer begins, as the model was asked for it, and ends.

        A template may put a space before an answer, or leave parts of it out; then it ends where it begins, and only
        that place is known.
        """
        found = []
        for number, message in enumerate(self.messages):
            if message.role != "assistant" or number == 0:
                continue
            with suppress(*_REFUSALS):
                asked = self._apply(self.messages[:number], speak=True)
                if text.startswith(asked):
                    said = (message if self.knows_tools else told([message], self.tools)[-1]).content.strip()
                    at = text.find(said, len(asked), len(asked) + len(said) + _MARGIN)
                    found.append((len(asked), len(asked) if at < 0 else at + len(said)))
        return found

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
