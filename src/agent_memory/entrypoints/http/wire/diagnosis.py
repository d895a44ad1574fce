"""What is wrong with a body that is almost JSON, by the field in which it is wrong: numbers that are none, halves of
characters, depths that nobody means.
"""

import json
import math
import re
from collections.abc import Iterator

from agent_memory.domain.errors import InvalidInput

DEEPEST = 64
# Possessive, and a text without an end goes to the end: whatever it is fed, it reads each byte once.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z|\\\Z)|[\[\]{}]', re.DOTALL)
_COLON = re.compile(rb"\s*:")
_HALF = re.compile("[\ud800-\udfff]")


def wrong_field(body: bytes) -> InvalidInput | None:
    """None: it is not a matter of one field."""
    try:
        document = json.loads(body.decode("utf-8", "surrogateescape"))
        return next(_faults(document, "", _fault_of_halves(body)), None)
    except (ValueError, RecursionError):
        return _too_deep(body)


def _fault_of_halves(body: bytes) -> str:
    """Bytes that are no text come to stand as halves of pairs; where all are text, halves were written as such."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return "bytes that are not valid UTF-8"
    return "a lone surrogate"


def _faults(value: object, path: str, of_halves: str) -> Iterator[InvalidInput]:
    match value:
        case dict():
            for key, inner in value.items():
                at = f"{path}.{_HALF.sub('?', key)}".lstrip(".")
                if _HALF.search(key):
                    yield InvalidInput(at, f"has a name with {of_halves}")
                yield from _faults(inner, at, of_halves)
        case list():
            for number, inner in enumerate(value):
                yield from _faults(inner, f"{path}[{number}]", of_halves)
        case float() if not math.isfinite(value):
            yield InvalidInput(path or "body", f"must be a number, is {value}")
        case str() if half := _HALF.search(value):
            yield InvalidInput(path or "body", f"has {of_halves} at position {half.start()}")


def _too_deep(body: bytes) -> InvalidInput | None:
    """Read flat, for what is too deep to be read: the field of the outermost object in which it happens."""
    depth, field = 0, b""
    for found in _TOKEN.finditer(body):
        token = found[0]
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        elif depth == 1 and _COLON.match(body, found.end()):
            field = token[1:-1]
        if depth > DEEPEST:
            return InvalidInput(field.decode(errors="replace") or "body", f"is nested more than {DEEPEST} levels deep")
    return None
