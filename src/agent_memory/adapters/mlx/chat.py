"""The model's tokenizer and chat template. Text in, tokens out, and back, token by token."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from agent_memory.adapters.mlx.speech import speech_of
from agent_memory.adapters.mlx.talk import REFUSALS, AskedCache, Talk
from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.errors import InvalidInput
from agent_memory.ports.language import Rendered

# For models that bring none: plain turns, each closed before the next begins, so that a longer conversation
# starts with the very text of the shorter one.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


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
        self._asked = AskedCache()
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
        except REFUSALS as error:
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
        with suppress(*REFUSALS):
            text = talk.text()
            at = {number: character for character, number in self._encode(text)[1].items()}.get(token)
            return None if at is None else talk.message_at(at, text)
        return None

    def _talk(self, messages: Sequence[Message], tools: Sequence[Tool], *, thinking: bool) -> Talk:
        system = self._takes_system if tools and not self._knows_tools else True
        return Talk(self._tokenizer, self._template, messages, tools, self._knows_tools, system, thinking, self._asked)

    @cached_property
    def _takes_system(self) -> bool:
        """Some templates refuse a system prompt."""
        with suppress(*REFUSALS):
            talk = (Message("system", "Be brief."), Message("user", "Hello."))
            return bool(self._talk(talk, (), thinking=True).text())
        return False

    def text_of(self, token: int) -> str:
        return str(self._tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def stream(self) -> MlxTextStream:
        return MlxTextStream(self._tokenizer, self._unseen)
