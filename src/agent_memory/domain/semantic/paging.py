"""How much of a ranking is given at once, and how the rest is asked for.

A page goes on from those before it by naming what they gave: whatever is kept, forgotten or ranked otherwise in
between, nothing comes twice, and nothing that was there at the first page and still is stays out. What a later page
finds by looking further stands after what was given, so no score is above those of the pages before.
"""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from zlib import crc32

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import MOST_RESULTS, MemoryId
from agent_memory.domain.semantic.recall import Question, Recollection, shown
from agent_memory.domain.semantic.scoring import MOST_RANKED
from agent_memory.domain.semantic.selection import Selection
from agent_memory.domain.semantic.tokens import tokens_up_to

_USUAL = 10  # memories on a page, where nobody says how many
_MUCH_WORSE = 0.5  # of the score of what was passed over
_MOST_FITTING = 100  # memories that even the smallest budget of tokens is filled from ...
_TOKENS_PER_MEMORY = 20  # ... and a larger one from as many of these as it has room for
# Deep enough that the ranking, which sees more signals than any one leg of the search, can change the order.
_DEPTH_PER_RESULT = 2
_LEAST_DEPTH = 20
_HEAD = struct.Struct("<qId")
_EPOCH, _TICK = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the pages of a question have come: when it was first asked, what they have given, and the least score
    among it.
    """

    asked_at: datetime
    question: int
    given: frozenset[int] = frozenset()
    least: float = math.inf

    @classmethod
    def begun(cls, question: Question, now: datetime) -> "Progress":
        return cls(now, _identity(question))

    @classmethod
    def read(cls, cursor: str, question: Question) -> "Progress":
        try:
            progress = cls._unpacked(cursor)
        except (ValueError, AttributeError, OverflowError, binascii.Error, struct.error):
            raise InvalidInput("cursor", "is none that we gave") from None
        if progress.question != _identity(question):
            raise InvalidInput("cursor", "belongs to another question")
        return progress

    @classmethod
    def _unpacked(cls, cursor: str) -> "Progress":
        """Nobody signs a cursor: one that is made up may ask for no more than one that was given."""
        packed = base64.urlsafe_b64decode(cursor.encode())
        microseconds, asked, least = _HEAD.unpack_from(packed)
        given = struct.unpack(f"<{(len(packed) - _HEAD.size) // 8}Q", packed[_HEAD.size :])
        progress = cls(_EPOCH + microseconds * _TICK, asked, frozenset(given), least)
        if not (0 < len(given) < MOST_RANKED and math.isfinite(least) and progress.cursor() == cursor):
            raise ValueError("never given")
        return progress

    def depth(self, more: int) -> int:
        """How deep to search for so many more. A further page looks as deep as the next ones will, as far as that
        goes: each depth is a ranking of its own, of which one page is to go on where the one before has ended.
        """
        wanted = _DEPTH_PER_RESULT * (len(self.given) + more)
        if not self.given:
            return max(_LEAST_DEPTH, wanted)
        depth = _DEPTH_PER_RESULT * MOST_RESULTS
        while depth < wanted:
            depth *= 2
        return depth

    def after(self, page: Sequence[Recollection]) -> "Progress":
        given = self.given | {_name(r.memory.id) for r in page}
        return Progress(self.asked_at, self.question, given, min((r.score.total for r in page), default=self.least))

    def cursor(self) -> str:
        head = _HEAD.pack((self.asked_at - _EPOCH) // _TICK, self.question, self.least)
        return base64.urlsafe_b64encode(head + struct.pack(f"<{len(self.given)}Q", *sorted(self.given))).decode()

    def selection(self, question: Question, now: datetime) -> Selection:
        """Where a page is looked for. What was kept since the first one waits for another question; a moment of keeping
        that is yet to come is another clock's.
        """
        return replace(question.selection, not_kept=(self.asked_at, now)) if self.given else question.selection

    def left(self, ranked: Sequence[Recollection]) -> list[Recollection]:
        """What was not given yet, none of it better than what was."""
        if not self.given:
            return list(ranked)
        return [self._after_given(r) for r in ranked if _name(r.memory.id) not in self.given]

    def _after_given(self, recollection: Recollection) -> Recollection:
        score = recollection.score
        if score.total <= self.least:
            return recollection
        return recollection._replace(score=score._replace(total=self.least))


@dataclass(frozen=True, slots=True)
class RecalledPage:
    """Best first. `cursor` asks for what follows; None: nothing does."""

    recollections: tuple[Recollection, ...]
    cursor: str | None


def most_of(question: Question) -> int:
    """How many memories a page is chosen from: what a budget has no room for takes none of the places of `top_k`."""
    if question.max_tokens is None:
        return _most_on_a_page(question)
    return min(MOST_RANKED, max(_MOST_FITTING, question.max_tokens // _TOKENS_PER_MEMORY))


def page_of(ranked: Sequence[Recollection], question: Question, progress: Progress) -> RecalledPage:
    """What the question asks for of a whole ranking, past what was given already."""
    left = [r for r in progress.left(ranked) if _good_enough(r, question)]
    most = min(_most_on_a_page(question), MOST_RANKED - len(progress.given))
    page = left[:most] if question.max_tokens is None else _fitting(left, question.max_tokens, most)
    after = progress.after(page)
    given = {r.memory.id for r in page}
    more = bool(page) and any(r.memory.id not in given and _fits(r, question) for r in left)
    return RecalledPage(tuple(page), after.cursor() if more and len(after.given) < MOST_RANKED else None)


def _most_on_a_page(question: Question) -> int:
    return question.top_k or (_USUAL if question.max_tokens is None else MOST_RANKED)


def _good_enough(recollection: Recollection, question: Question) -> bool:
    return question.min_score is None or recollection.score.shown >= shown(question.min_score)


def _fits(recollection: Recollection, question: Question) -> bool:
    """Whether there is room for it on a page of its own."""
    return question.max_tokens is None or (
        tokens_up_to(question.max_tokens, recollection.memory.content) <= question.max_tokens
    )


def _fitting(ranked: Sequence[Recollection], tokens: int, most: int) -> list[Recollection]:
    """The best that fit together, at most so many. What is too long for the room that is left is passed over, but not
    for the sake of what answers much worse: room that is left is better than room that misleads.
    """
    fitting: list[Recollection] = []
    least = -math.inf
    for recollection in ranked:
        if tokens < 1 or len(fitting) == most:
            break
        cost, score = tokens_up_to(tokens, recollection.memory.content), recollection.score.total
        if cost > tokens:
            least = max(least, score * _MUCH_WORSE if score > 0 else score / _MUCH_WORSE)
        elif score >= least:
            fitting.append(recollection)
            tokens -= cost
    return fitting


def _name(memory_id: MemoryId) -> int:
    return int.from_bytes(blake2b(memory_id.bytes, digest_size=8).digest(), "little")


def _identity(question: Question) -> int:
    """The same in every process: sets, whose order is another in each, are sorted."""
    of = question.selection
    selected = (of.memory_type, sorted(of.tags), of.metadata, of.since, of.until)
    return crc32(repr((question.scope, question.query, question.alpha, question.as_of, selected)).encode())
