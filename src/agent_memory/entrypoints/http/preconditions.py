"""`If-Match`, as RFC 9110 has it: a request is meant for what was read, and changes nothing else."""

import re
from typing import Annotated

from litestar.params import HeaderParameter

from agent_memory.domain.errors import InvalidInput

HEADER = "If-Match"
IfMatch = Annotated[str | None, HeaderParameter(name=HEADER)]

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"|\d+'  # and a bare number, as some clients send it
_NEXT = re.compile(rf"[ \t,]*({_TAG})[ \t]*(?=,|\Z)")
_OURS = re.compile(r'"([1-9]\d*)"|([1-9]\d*)')
_LONGEST = 1000


def versions_in(given: str | None) -> frozenset[int] | None:
    """The versions that it names, any of which will do; a weak tag names none, nor does one that is not ours. None: it
    is meant for any version.
    """
    if given is None or given.strip() == "*":
        return None
    ours = (_OURS.fullmatch(tag) for tag in _tags(given))
    return frozenset(int(match[1] or match[2]) for match in ours if match is not None)


def _tags(given: str) -> list[str]:
    rest, at, tags = given.rstrip(" \t,"), 0, []
    while at < len(rest) <= _LONGEST and (match := _NEXT.match(rest, at)):
        tags.append(match[1])
        at = match.end()
    if not rest or at < len(rest):
        raise InvalidInput(HEADER, f"must be the ETag of a memory, several of them or *, is {given[:40]!r}")
    return tags
