"""A tokenizer of one token a byte, with marks where a message begins and ends. Goes with the toy model."""

import codecs
from collections.abc import Sequence

from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.speech import Markers, Speech, told
from agent_memory.ports.language import Rendered

BEGIN, END = 256, 257
VOCABULARY = 258


class ByteTextStream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        return self._decoder.decode(bytes([token])) if token < BEGIN else ""

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


class ByteChatTokenizer:
    def __init__(self, thought: Markers | None = None) -> None:
        self.speech = Speech(thought)

    @property
    def stop_tokens(self) -> frozenset[int]:
        return frozenset({END})

    @property
    def vocabulary(self) -> int:
        return VOCABULARY

    @property
    def beginning(self) -> tuple[int, ...]:
        return ()

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, thinking: bool = True) -> Rendered:
        del thinking  # it begins to think by itself, if it does
        tokens: list[int] = []
        marks, answers = [], []
        for message in told(messages, tools):
            if message.role == "assistant":
                start = len(tokens) + 1 + len(b"assistant\n")
                answers.append((start, start + len(message.content.encode())))
            tokens += [BEGIN, *f"{message.role}\n{message.content}".encode(), END]
            if message.role == "system":
                marks.append(len(tokens))
        return Rendered([*tokens, BEGIN, *b"assistant\n"], tuple(marks[:1]), tuple(answers))

    def message_of(
        self, messages: Sequence[Message], token: int, tools: Sequence[Tool] = (), *, thinking: bool = True
    ) -> int | None:
        del thinking
        ends = [self._length(told(messages[: count + 1], tools)) for count in range(len(messages))]
        return next((number for number, end in enumerate(ends) if token < end), None)

    def _length(self, messages: Sequence[Message]) -> int:
        return sum(len(f"{message.role}\n{message.content}".encode()) + 2 for message in messages)

    def text_of(self, token: int) -> str:
        return bytes([token]).decode(errors="replace") if token < BEGIN else ""

    def stream(self) -> ByteTextStream:
        return ByteTextStream()
