"""One answer on its way from tokens to what is told of it.

Stop strings count in what the model says, not in what it thinks or calls.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from agent_memory.application.replies import Delta, Finish, Piece, Reuse, Thought, Token
from agent_memory.application.stop_text import StopText
from agent_memory.application.utterance import Part, Utterance
from agent_memory.domain.kv.steps import Started
from agent_memory.domain.kv.turn import FinishReason, Turn
from agent_memory.ports.language import TextStream


class Spoken:
    def __init__(self, turn: Turn, text: TextStream, utterance: Utterance, stops: Iterable[str]) -> None:
        self.prompt_tokens = turn.prompt_tokens
        self.stop_tokens = turn.stop_tokens
        self.tokens: list[int] = []
        self.started: Started | None = None
        self.reuse: Reuse | None = None
        self._text, self._utterance, self._stop = text, utterance, StopText(tuple(stops))
        self._tokens: list[Token] = []  # since the last piece
        self._lengths: list[int] = []  # of the text, after each token
        self._thinking_tokens = 0
        self._shown, self._shown_from = 0, 0

    @property
    def stopped(self) -> bool:
        return self._stop.stopped

    def hear(self, token: int, told: Token | None = None) -> Iterator[Piece]:
        """What may be told now; `told` is its log-probability, if it is wanted."""
        if told is not None and token not in self.stop_tokens:
            self._tokens.append(told)
        self.tokens.append(token)
        thinking = self._utterance.thinking
        text = "" if token in self.stop_tokens else self._text.add(token)
        self._lengths.append((self._lengths[-1] if self._lengths else 0) + len(text))
        yield from self._tell(self._utterance.add(text))
        if self._utterance.behind_call:  # what is told to nobody, nor are its tokens
            self._tokens.clear()
        self._thinking_tokens += thinking or self._utterance.thinking

    def rest(self) -> Iterator[Piece]:
        """The turn is over."""
        text = self._text.finish()
        yield from self._tell([*self._utterance.add(text), *self._utterance.finish()])
        if self._utterance.calling:
            self._tokens.clear()
        held = "" if self.stopped else self._stop.finish()
        if held or self._tokens:
            yield self._with_tokens(Delta(held))

    def _tell(self, parts: Iterable[Part]) -> Iterator[Piece]:
        for part in parts:
            if isinstance(part, Delta):
                if self._shown_from != self._utterance.text_begins:
                    self._shown, self._shown_from = 0, self._utterance.text_begins
                text = self._stop.add(part.text)
                self._shown += len(text)
                if text:
                    yield self._with_tokens(Delta(text))
                if self.stopped:
                    return
            else:
                if held := self._stop.finish():
                    yield self._with_tokens(Delta(held))
                if isinstance(part, Thought):
                    yield self._with_tokens(part)
                else:
                    self._tokens.clear()  # a call has none of its own
                    yield part

    def _with_tokens(self, piece: Delta | Thought) -> Delta | Thought:
        tokens, self._tokens = tuple(self._tokens), []
        return replace(piece, tokens=tokens)

    def whole_tokens(self) -> int | None:
        """How many tokens make up what was shown; None where it ends inside one."""
        length = self._shown_from + self._shown
        return self._lengths.index(length) + 1 if length in self._lengths else None

    def end(self, reason: FinishReason) -> Finish:
        called = self._utterance.calls > 0 and not self.stopped
        cut = (reason == "length" and not self.stopped) or self._utterance.calling
        return Finish(
            "length" if cut else "tool_calls" if called else "stop",
            self.prompt_tokens,
            self.started.cached_tokens if self.started else 0,
            len(self.tokens),
            self.reuse,
            self._stop.stopped_by,
            self._thinking_tokens,
        )
