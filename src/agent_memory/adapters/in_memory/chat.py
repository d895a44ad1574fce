"""A tokenizer of one token a byte, with marks where a message begins and ends. Goes with the toy model."""

import codecs
from collections.abc import Sequence

from agent_memory.domain.chat import Message
from agent_memory.ports.kv import Rendered

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

    def render(self, messages: Sequence[Message]) -> Rendered:
        tokens: list[int] = []
        marks, answers = [], []
        for message in messages:
            if message.role == "assistant":
                start = len(tokens) + 1 + len(b"assistant\n")
                answers.append((start, start + len(message.content.encode())))
            tokens += [BEGIN, *f"{message.role}\n{message.content}".encode(), END]
            if message.role == "system":
                marks.append(len(tokens))
        return Rendered([*tokens, BEGIN, *b"assistant\n"], tuple(marks[:1]), tuple(answers))

    def message_of(self, messages: Sequence[Message], token: int) -> int | None:
        end = 0
        for number, message in enumerate(messages):
            end += len(f"{message.role}\n{message.content}".encode()) + 2
            if token < end:
                return number
        return None

    def text_of(self, token: int) -> str:
        return bytes([token]).decode(errors="replace") if token < BEGIN else ""

    def stream(self) -> ByteTextStream:
        return ByteTextStream()
