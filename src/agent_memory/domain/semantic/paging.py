"""How much of a ranking is given at once, and how the rest is asked for.

A page goes on from those before it by naming what they gave: whatever is kept, forgotten or ranked otherwise in
between, nothing comes twice, and nothing that was there at the first page and still is stays out.
"""

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from zlib import crc32

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import MemoryId
from agent_memory.domain.semantic.recall import Question, Recollection
from agent_memory.domain.semantic.scoring import MOST_RANKED

MOST_FITTING = 100  # memories that a budget of tokens is filled with at once
_BYTES_PER_TOKEN = 4  # of English in UTF-8, for the vocabularies of today's language models
_HEAD = struct.Struct("<qI")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the pages of a question have come: when it was first asked, and what they have given."""

    asked_at: datetime
    question: int
    given: frozenset[int] = frozenset()

    @classmethod
    def begun(cls, question: Question, now: datetime) -> "Progress":
        return cls(now, _identity(question))

    @classmethod
    def read(cls, cursor: str, question: Question) -> "Progress":
        try:
            packed = base64.urlsafe_b64decode(cursor.encode())
            microseconds, asked = _HEAD.unpack_from(packed)
            given = struct.unpack(f"<{(len(packed) - _HEAD.size) // 8}Q", packed[_HEAD.size :])
            asked_at = datetime.fromtimestamp(microseconds / 1e6, UTC)
        except (ValueError, AttributeError, OverflowError, OSError, binascii.Error, struct.error):
            raise InvalidInput("cursor", "is none that we gave") from None
        if asked != _identity(question):
            raise InvalidInput("cursor", "belongs to another question")
        return cls(asked_at, asked, frozenset(given))

    def after(self, page: Sequence[Recollection]) -> "Progress":
        return Progress(self.asked_at, self.question, self.given | {_name(r.memory.id) for r in page})

    def cursor(self) -> str:
        head = _HEAD.pack(round(self.asked_at.timestamp() * 1e6), self.question)
        return base64.urlsafe_b64encode(head + struct.pack(f"<{len(self.given)}Q", *sorted(self.given))).decode()

    def has_given(self, memory_id: MemoryId) -> bool:
        return bool(self.given) and _name(memory_id) in self.given


@dataclass(frozen=True, slots=True)
class RecalledPage:
    """Best first. `cursor` asks for what follows; None: nothing does."""

    recollections: tuple[Recollection, ...]
    cursor: str | None


def page_of(ranked: Sequence[Recollection], question: Question, progress: Progress) -> RecalledPage:
    """What the question asks for of a whole ranking, past what was given already."""
    left = [r for r in ranked if _good_enough(r, question) and not progress.has_given(r.memory.id)]
    page = left[: question.top_k] if question.max_tokens is None else _fitting(left[:MOST_FITTING], question.max_tokens)
    after = progress.after(page)
    ends = not page or len(page) == len(left) or len(after.given) >= MOST_RANKED
    return RecalledPage(tuple(page), None if ends else after.cursor())


def tokens_of(text: str) -> int:
    """About how many tokens a language model reads for it; more, if need be, rather than fewer."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN) + 1


def _good_enough(recollection: Recollection, question: Question) -> bool:
    return question.min_score is None or recollection.score.total >= question.min_score


def _fitting(ranked: Sequence[Recollection], most: int) -> list[Recollection]:
    """The best that fit together; what is too long for the room that is left is passed over."""
    fitting: list[Recollection] = []
    for recollection in ranked:
        cost = tokens_of(recollection.memory.content)
        if cost <= most:
            fitting.append(recollection)
            most -= cost
    return fitting


def _name(memory_id: MemoryId) -> int:
    return int.from_bytes(blake2b(memory_id.bytes, digest_size=8).digest(), "little")


def _identity(question: Question) -> int:
    """The same in every process: sets, whose order is another in each, are sorted."""
    of = question.selection
    selected = (of.memory_type, sorted(of.tags), of.metadata, of.since, of.until)
    return crc32(repr((question.scope, question.query, question.alpha, question.as_of, selected)).encode())
