"""The entries of a list in a JSON document that comes in pieces, each as soon as it is whole: of a document of any
length no more is held than one of them.
"""

import json
import re
from collections.abc import Collection, Iterator
from enum import Enum, auto
from typing import Any

from agent_memory.domain.errors import InvalidInput

# Between two values; one comma too many, or too few, keeps no entry out. The mark begins the files of some editors.
_BETWEEN = re.compile("[ \t\n\r,\ufeff]*")
_COLON = re.compile("[ \t\n\r]*:[ \t\n\r]*")
_OF_A_NUMBER = re.compile(r"[-+.eE0-9]*")  # "1." and "1.5e-" are cut off, though they begin with a number
_decode = json.JSONDecoder().raw_decode


class _Unfinished(Exception):
    pass


class _Place(Enum):
    BEFORE = auto()
    OBJECT = auto()  # which has the list under one of its names
    LIST = auto()
    AFTER = auto()


class Entries:
    """The list is the document, or is in it under one of the `names`. What is in the document beside it is left out."""

    def __init__(self, names: Collection[str], longest: int) -> None:
        """No more than `longest` characters, or one piece, are waited for to be an entry."""
        self._names, self._longest = names, longest
        self._text, self._at, self._passed = "", 0, 0
        self._enough = 0  # characters with which there may be a whole value: none is tried again with a few more
        self._last = False
        self._place, self._around = _Place.BEFORE, _Place.AFTER
        self._is_meant, self._is_found = True, False
        self._number, self._is_broken = 0, False

    def read(self, piece: str, *, last: bool = False) -> Iterator[Any]:
        """The entries that end in this piece; an entry that is no UTF-8 is an InvalidInput in its place, and so is
        what follows the place from which the document cannot be read. Raises InvalidInput where that is before the
        first entry, or where the document has no such list.
        """
        if self._is_broken:
            return
        self._passed += self._at
        self._text, self._at, self._last = self._text[self._at :] + piece, 0, last
        try:
            while self._last or len(self._text) - self._at >= self._enough:
                for entry in self._step():
                    self._number += 1
                    yield entry
                self._enough = 0
        except _Unfinished:
            self._enough = 2 * (len(self._text) - self._at)
        except InvalidInput as error:
            self._is_broken = True
            if not self._number:
                raise
            yield error

    def _step(self) -> Iterator[Any]:
        start = self._at
        try:
            match self._place:
                case _Place.BEFORE:
                    self._open()
                case _Place.OBJECT:
                    self._pass_member()
                case _Place.LIST:
                    yield from self._listed()
                case _Place.AFTER:
                    self._finish()
        except _Unfinished:
            self._at = start
            self._check_unfinished()
            raise

    def _open(self) -> None:
        opens = self._character()
        if opens == "[":
            self._place, self._is_found = _Place.LIST, True
        elif opens == "{":
            self._place = _Place.OBJECT
        else:
            raise self._wrong("is not JSON" if _is_utf8(self._text[self._at :]) else "is not valid UTF-8")
        self._at += 1

    def _pass_member(self) -> None:
        if self._character() == "}":
            self._at, self._place = self._at + 1, _Place.AFTER
            return
        name = self._value()
        colon = _COLON.match(self._text, self._at)
        if colon is None or colon.end() == len(self._text):
            raise _Unfinished
        self._at = colon.end()
        if self._text[self._at] != "[":
            self._value()
            return
        self._at, self._place, self._around = self._at + 1, _Place.LIST, _Place.OBJECT
        self._is_meant = name in self._names
        self._is_found = self._is_found or self._is_meant

    def _listed(self) -> Iterator[Any]:
        if self._character() == "]":
            self._at, self._place = self._at + 1, self._around
            return
        start = self._at
        value = self._value()
        if self._is_meant:
            told = self._text[start : self._at]
            yield value if _is_utf8(told) else InvalidInput("entry", "is not valid UTF-8")

    def _finish(self) -> None:
        """Reads on only to find that nothing follows."""
        if not self._is_found:
            raise InvalidInput("document", f"has no list of {' or '.join(self._names)}")
        self._character()
        raise self._wrong("ends before its last character: what follows is not read")

    def _character(self) -> str:
        found = _BETWEEN.match(self._text, self._at)
        self._at = found.end() if found else self._at
        if self._at == len(self._text):
            raise _Unfinished
        return self._text[self._at]

    def _value(self) -> Any:
        try:
            value, end = _decode(self._text, self._at)
        except RecursionError:
            raise self._wrong("is nested too deeply") from None
        except ValueError:
            raise _Unfinished from None
        goes_on = _OF_A_NUMBER.match(self._text, end) if isinstance(value, int | float) else None
        if (goes_on.end() if goes_on else end) == len(self._text) and not self._last:
            raise _Unfinished  # a number may go on
        self._at = end
        return value

    def _check_unfinished(self) -> None:
        if self._last and self._place is not _Place.AFTER:
            raise self._wrong("is not JSON")
        if len(self._text) - self._at > self._longest:
            raise self._wrong(f"is not JSON, or has a part of more than {self._longest} characters,")

    def _wrong(self, what: str) -> InvalidInput:
        return InvalidInput("document", f"{what} from character {self._passed + self._at + 1} on")


def _is_utf8(told: str) -> bool:
    """Whoever decoded bytes that are none has left lone surrogates in their place."""
    try:
        told.encode()
    except UnicodeEncodeError:
        return False
    return True
