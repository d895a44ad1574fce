"""`If-Match` and `If-None-Match`, as RFC 9110 has them: a request is meant for what was read, and changes nothing else;
or for what was not read, and is not told again what is known.
"""

import json
import re
from hashlib import sha256
from typing import Annotated

from litestar.params import HeaderParameter

from agent_memory.domain.errors import InvalidInput

HEADER = "If-Match"
IfMatch = Annotated[str | None, HeaderParameter(name=HEADER)]
NOT_HEADER = "If-None-Match"
IfNoneMatch = Annotated[str | None, HeaderParameter(name=NOT_HEADER)]

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"|\d+'  # and a bare number, as some clients send it
_NEXT = re.compile(rf"[ \t,]*({_TAG})[ \t]*(?=,|\Z)")
_OURS = re.compile(r'"([1-9]\d*)(?:-[0-9a-f]{16})?"|([1-9]\d*)')
_LONGEST = 1000


def etag_of(memory: bytes) -> str:
    """The ETag of a memory as it is told: its version, and a digest, since a memory is superseded and restored without
    a new version, and one that is forgotten may come again under its name.
    """
    told = json.loads(memory)
    digest = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    return f'"{told["version"]}-{digest}"'


def is_known(given: str | None, etag: str) -> bool:
    """Whether the header names the tag, weak or not, or any there is."""
    if given is None or given.strip() == "*":
        return given is not None
    return etag in [tag.removeprefix("W/") for tag in _tags(given, NOT_HEADER)]


def versions_in(given: str | None) -> frozenset[int] | None:
    """The versions that it names, any of which will do; a weak tag names none, nor does one that is not ours. None: it
    is meant for any version.
    """
    if given is None or given.strip() == "*":
        return None
    ours = (_OURS.fullmatch(tag) for tag in _tags(given, HEADER))
    return frozenset(int(match[1] or match[2]) for match in ours if match is not None)


def _tags(given: str, header: str) -> list[str]:
    rest, at, tags = given.rstrip(" \t,"), 0, []
    while at < len(rest) <= _LONGEST and (match := _NEXT.match(rest, at)):
        tags.append(match[1])
        at = match.end()
    if not rest or at < len(rest):
        raise InvalidInput(header, f"must be the ETag of a memory, several of them or *, is {given[:40]!r}")
    return tags
