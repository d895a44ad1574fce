"""What a question asks for beyond its words: the present, a time, somebody in particular. English, by its cue words.

A cue never keeps a memory out; it tells `scoring` which of two that fit is the likelier answer.
"""

import re
from dataclasses import dataclass

_PRESENT = re.compile(r"\b(now|current|currently|nowadays|presently|today|latest|newest|at the moment|these days)\b")
_WHEN = re.compile(r"^\W*(when|what (date|day|month|year|time)|which (date|day|month|year)|how long ago)\b")
_TIME = re.compile(
    r"\b(yesterday|today|tonight|tomorrow|ago|last|next|since|this (?:week|month|year|morning|weekend)|mondays?|"
    r"tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|january|february|march|april|june|july|august|"
    r"september|october|november|december|weeks?|weekends?|months?|years?|recently|\d{1,2}:\d\d|\d{4})\b"
)
# "Ana: I moved to Oslo", as the turns of a talk are often kept.
_TELLER = re.compile(r"\s*([^\W\d_][\w .'-]{0,40}?):\s")
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Cues:
    present: bool
    when: bool
    named: frozenset[str]

    @classmethod
    def of(cls, query: str) -> "Cues":
        text = query.casefold()
        return cls(
            present=_PRESENT.search(text) is not None,
            when=_WHEN.search(text) is not None,
            named=frozenset(_WORD.findall(text)),
        )

    def met_by(self, content: str) -> int:
        """How many of them a memory meets: it tells a time to a "when", and comes from somebody who is named."""
        teller = _TELLER.match(content) if ":" in content else None
        told_by_named = teller is not None and not self.named.isdisjoint(_WORD.findall(teller[1].casefold()))
        return (self.when and _TIME.search(content.casefold()) is not None) + told_by_named
