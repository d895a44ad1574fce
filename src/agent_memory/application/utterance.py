"""The text of one answer, told apart as it comes: what the model thinks, what it says, and which tools it calls.

However the text is cut on its way, the pieces make up the same. Newlines beside a marker belong to it, and so does all
white space behind a call.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from secrets import token_hex

from agent_memory.application.replies import CallArguments, CallBegun, Delta, Thought
from agent_memory.domain.chat import Tool
from agent_memory.domain.speech import CallParser, Markers

Part = Delta | Thought | CallBegun | CallArguments

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)')


class _In(Enum):
    BEGINNING = "beginning"
    THOUGHT = "thought"
    TEXT = "text"
    CALL = "call"
    ARGUMENTS = "arguments"
    CALL_END = "call end"


@dataclass(frozen=True, slots=True)
class Calling:
    """What stands between the markers is JSON that keeps to its form, and is told as it comes; or what `parse`
    understands, and is told when it is complete.
    """

    markers: Markers
    parse: CallParser | None = None
    tools: tuple[Tool, ...] = ()


class Utterance:
    """`thought` are the markers of a model that thinks; it may be `thinking` from the start. Without `calling`, calls
    are text like any other.
    """

    def __init__(
        self, thought: Markers | None = None, calling: Calling | None = None, *, thinking: bool = False
    ) -> None:
        self._thought, self._calling = thought, calling
        self._state = _In.THOUGHT if thinking else _In.BEGINNING if thought else _In.TEXT
        self._held = ""
        self._read = 0  # characters that are not held any more
        self._after_marker = thinking
        self._depth, self._quoted, self._escaped = 0, False, False
        self.calls = 0
        self.text_begins = 0
        """Where the text that is being said began, in characters of the whole answer."""

    @property
    def thinking(self) -> bool:
        return self._state is _In.THOUGHT

    @property
    def calling(self) -> bool:
        """Whether it is in the middle of a call."""
        return self._state in (_In.CALL, _In.ARGUMENTS, _In.CALL_END)

    @property
    def behind_call(self) -> bool:
        """Whether what came last was of a call, of its end, or of the white space behind it."""
        ended = self.calls > 0 and self._state is _In.TEXT and self._after_marker and not self._held
        return ended or self._state in (_In.ARGUMENTS, _In.CALL_END)

    def add(self, text: str) -> list[Part]:
        self._held += text
        return list(self._told(last=False))

    def finish(self) -> list[Part]:
        """The answer is over: what was held back is no marker."""
        return list(self._told(last=True))

    def _told(self, *, last: bool) -> Iterator[Part]:
        before = None
        while before != (self._state, len(self._held)):
            before = self._state, len(self._held)
            match self._state:
                case _In.BEGINNING:
                    self._begin(last=last)
                case _In.THOUGHT:
                    yield from self._think(last=last)
                case _In.TEXT:
                    yield from self._say(last=last)
                case _In.CALL:
                    yield from self._call(last=last)
                case _In.ARGUMENTS:
                    yield from self._argue()
                case _In.CALL_END:
                    self._end_call()

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        self._read += count
        return taken

    def _enter(self, state: _In) -> None:
        self._state, self._after_marker = state, True

    def _begin(self, *, last: bool) -> None:
        assert self._thought is not None
        begun = self._held.lstrip()
        if begun.startswith(self._thought.begin):
            self._take(len(self._held) - len(begun) + len(self._thought.begin))
            self._enter(_In.THOUGHT)
        elif last or not self._thought.begin.startswith(begun):
            self._state = _In.TEXT

    def _think(self, *, last: bool) -> Iterator[Part]:
        assert self._thought is not None
        text, ended = self._until(self._thought.end, last=last)
        if text:
            yield Thought(text)
        if ended:
            self._enter(_In.TEXT)

    def _say(self, *, last: bool) -> Iterator[Part]:
        text, ended = self._until(self._calling.markers.begin if self._calling else "", last=last)
        if text:
            yield Delta(text)
        if ended:
            self._enter(_In.CALL)

    def _until(self, marker: str, *, last: bool) -> tuple[str, bool]:
        """What is certain to stand before the marker, or to have none behind it; and whether the marker was met."""
        if self._after_marker:
            self._take(len(self._held) - len(self._held.lstrip(None if self.calls else "\n")))
            self._after_marker = not self._held
            self.text_begins = self._read
        at = self._held.find(marker) if marker else -1
        if at >= 0:
            text = self._take(at).rstrip("\n")
            self._take(len(marker))
            return text, True
        if last:
            # Newlines that end a thought, or follow a call, are part of a form; those that end an answer are its own.
            text = self._take(len(self._held))
            return (text if self._state is _In.TEXT else text.rstrip("\n")), False
        return self._take(_certain(self._held, marker)), False

    def _call(self, *, last: bool) -> Iterator[Part]:
        assert self._calling is not None
        if self._calling.parse is not None:
            yield from self._parse(self._calling.parse, last=last)
        elif head := _HEAD.match(self._held):
            yield CallBegun(self.calls, f"call_{token_hex(12)}", json.loads(head[1]))
            self._take(head.end())
            self._depth, self._quoted, self._escaped = 0, False, False
            self._state = _In.ARGUMENTS

    def _argue(self) -> Iterator[Part]:
        end = next((at for at, letter in enumerate(self._held, 1) if self._closes(letter)), None)
        if text := self._take(len(self._held) if end is None else end):
            yield CallArguments(self.calls, text)
        if end is not None:
            self._state = _In.CALL_END

    def _closes(self, letter: str) -> bool:
        """Whether the JSON object that is being read ends with this letter of it."""
        if self._quoted:
            self._quoted = self._escaped or letter != '"'
            self._escaped = letter == "\\" and not self._escaped
            return False
        self._quoted = letter == '"'
        self._depth += (letter in "{[") - (letter in "}]")
        return self._depth == 0

    def _end_call(self) -> None:
        assert self._calling is not None
        at = self._held.find(self._calling.markers.end)
        if at >= 0:
            self._take(at + len(self._calling.markers.end))
            self.calls += 1
            self._enter(_In.TEXT)

    def _parse(self, parse: CallParser, *, last: bool) -> Iterator[Part]:
        assert self._calling is not None
        markers = self._calling.markers
        at = self._held.find(markers.end) if markers.end else -1
        if at < 0 and not last:
            return
        inside = self._take(len(self._held) if at < 0 else at)
        end = self._take(len(markers.end)) if at >= 0 else ""
        self._enter(_In.TEXT)
        try:
            found = parse(inside, self._calling.tools)
        except ValueError:
            yield Delta(markers.begin + inside + end)
            return
        for name, arguments in found:
            yield CallBegun(self.calls, f"call_{token_hex(12)}", name)
            yield CallArguments(self.calls, arguments)
            self.calls += 1


def _certain(text: str, marker: str) -> int:
    """How many characters can be shown: neither the beginning of the marker nor newlines that may belong to it."""
    if not marker:
        return len(text)
    overlap = next((n for n in range(min(len(text), len(marker) - 1), 0, -1) if text.endswith(marker[:n])), 0)
    return len(text[: len(text) - overlap].rstrip("\n"))
