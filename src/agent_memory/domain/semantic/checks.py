"""What no store can hold, said early: texts, moments and documents out of bounds, named by their field."""

import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from agent_memory.domain.errors import InvalidInput

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
Document = Mapping[str, Json]

DEEPEST_DOCUMENT = 16
LARGEST_DOCUMENT = 16_384  # characters of all its keys and texts, and eight for everything else
GREATEST_NUMBER = int(sys.float_info.max)  # which a database gives back as an integer


def check_text(name: str, text: str, longest: int) -> None:
    if not isinstance(text, str):
        raise InvalidInput(name, "must be a text")
    if not 1 <= len(text) <= longest:
        raise InvalidInput(name, f"must have 1 to {longest} characters, has {len(text)}")
    _check_characters(name, text)


def check_count(name: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(name, "must be a whole number")
    if not least <= value <= most:
        raise InvalidInput(name, f"must be {least} to {most}, is {value}")


def check_number(name: str, value: float, least: float = -math.inf, most: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(name, "must be a number")
    # An integer may be too large to be a float, so it is compared as it is.
    if (isinstance(value, float) and not math.isfinite(value)) or not least <= value <= most:
        bounds = f" from {least:g} to {most:g}" if math.isfinite(most) else ""
        raise InvalidInput(name, f"must be a number{bounds}, is {str(value)[:40]}")


def check_moment(name: str, moment: datetime) -> datetime:
    """The moment in UTC, in which stores give it back: so that it is told in the same way before and after."""
    if not isinstance(moment, datetime):
        raise InvalidInput(name, "must be a moment")
    if moment.tzinfo is None:
        raise InvalidInput(name, "needs a time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(name, "is before the year 1 or after the year 9999") from None


def _check_characters(name: str, text: str) -> None:
    """No database keeps NUL, and no encoding half of a UTF-16 pair."""
    if "\0" in text:
        raise InvalidInput(name, f"has a NUL character at position {text.index(chr(0))}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(name, f"has a lone surrogate at position {error.start}") from None


def check_document(name: str, document: Document) -> None:
    """Refuse what is no JSON object, or is too deep or too large; not by recursion, so that depth costs nothing."""
    if not isinstance(document, dict):
        raise InvalidInput(name, "must be an object")
    size, depth = 0, 0
    level: list[Json] = [document]
    while level:
        depth += 1
        if depth > DEEPEST_DOCUMENT:
            raise InvalidInput(name, f"must be at most {DEEPEST_DOCUMENT} levels deep")
        size += sum(_size(name, value) for value in level)
        if size > LARGEST_DOCUMENT:
            raise InvalidInput(name, f"must have at most {LARGEST_DOCUMENT} characters")
        level = [inner for value in level for inner in _inside(name, value)]


def _size(name: str, value: Json) -> int:
    if isinstance(value, str):
        _check_characters(name, value)
        return len(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(name, f"has a number that is none: {value}")
    if isinstance(value, int) and abs(value) > GREATEST_NUMBER:
        raise InvalidInput(name, "has a number that is greater than floats are")
    return 8


def _inside(name: str, value: Json) -> Sequence[Json]:
    # Only these are written as JSON: not bytes, ranges and others that Python takes for sequences and mappings.
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidInput(name, "must have texts for keys")
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return value
    if value is None or isinstance(value, str | int | float):
        return ()
    raise InvalidInput(name, f"holds a {type(value).__name__}, which is no JSON")
