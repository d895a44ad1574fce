"""What a question asks for beyond its words: the present, the past, a time, somebody. By its cue words: of English, and
for the present and the past the plainest of other languages.

A cue never keeps a memory out; it tells `scoring` which of two that fit is the likelier answer.
"""

import re
from dataclasses import dataclass

_PRESENT = re.compile(
    r"\b(now|current|currently|nowadays|presently|today|latest|newest|at present|at the moment|these days|"
    r"most recent|most recently|still|any ?more|any longer|"
    r"jetzt|derzeit|zurzeit|zur zeit|aktuell\w*|momentan|heute|heutzutage|maintenant|actuellement|en ce moment|ahora|"
    r"actualmente|hoy|agora|atualmente|hoje|adesso|attualmente|oggi|сейчас|теперь|сегодня|الآن|حاليا|حاليًا)\b|"
    r"今(?![年週月回度])|現在|现在|目前|当前|지금|현재"
)
# What was so once: of what one has one of at a time, the one before this.
_HAD = (
    r"(?:job|boss|address|number|phone|car|bike|home|house|flat|apartment|place|employer|company|school|teacher|"
    r"doctor|name|password|code|email|laptop|computer|team|role|landlord|plan|version|diet|hobby)\b"
    r"(?! (?:friend|mate|colleague)s?\b)"
)
_OCCASION = (
    r"(?:meeting|call|session|conversation|chat|discussion|message|question|answer|turn|email|letter|visit|lecture|"
    r"class|lesson|appointment|sprint|standup|time|day|night|evening|morning|week|weekend|month)s?\b"
)
_SAID = r"(?:said|told|mentioned|discussed|agreed|noted|asked|explained|described)"
# "Before" alone asks for what something else came after: "before 10 April", "before the match". And not every "earlier"
# is about what was so: "earlier this week", "an earlier train"; nor is "as I told you before".
_PAST = re.compile(
    r"\b(before (?:that|this|then|i|you|he|she|it|we|they|the (?:change|move|switch|update|upgrade|merger))\b|"
    rf"previous(?! {_OCCASION})\b|(?<!discussed )(?<!mentioned )(?<!agreed )(?<!said )previously(?! {_SAID})\b|"
    rf"used to|did\b.{{1,80}}\buse to|former|formerly|until recently|earlier (?={_HAD})|"
    r"originally|initially|at first|back then|in the past|"
    rf"(?:old|prior) (?:[\w-]+ )?{_HAD})|"
    r"\b(?:did|was|were|had|has|have)\b[^?]{1,200}?\bearlier\W*$|"
    r"\b(?:früher(?! als)|vorher|zuvor|damals|ehemal\w+|ursprünglich|auparavant|autrefois|anteriormente|originalmente|"
    r"solía\w*|costumava\w*|precedentemente|in passato|раньше(?! чем)|прежде(?! чем)|ранее|бывш\w+|прежн\w+|سابقا|"
    r"سابقًا)\b|"
    r"\b(?:avant|antes|prima|من قبل)\W*$|以前|かつて|もともと|从前|從前|曾经|예전|이전에"
)
_BEFORE = re.compile(
    rf"^(?!.*\b(?:as (?:i|we|you|he|she|they)|(?:have|has|had|i|you|we) {_SAID})\b).*\bbefore\W*$", re.DOTALL
)
_WHEN = re.compile(r"^\W*(when|what (date|day|month|year|time)|which (date|day|month|year)|how long ago)\b")
_TIME = re.compile(
    r"\b(yesterday|today|tonight|tomorrow|ago|last|next|since|this (?:week|month|year|morning|weekend)|mondays?|"
    r"tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|january|february|march|april|june|july|august|"
    r"september|october|november|december|weeks?|weekends?|months?|years?|recently|\d{1,2}:\d\d|\d{4})\b"
)
# "Ana: I moved to Oslo", as the turns of a talk are often kept.
_TELLER = re.compile(r"\s*([^\W\d_][\w .'-]{0,40}?):\s")
_WORD = re.compile(r"[^\W\d_]{2,}")


class Said:
    """What a memory says, as cues look at it; `tellers` are the words of the name that it begins with. Each thing is
    looked for once, however many questions ask.
    """

    __slots__ = ("_tells_time", "content", "tellers")

    def __init__(self, content: str) -> None:
        self.content = content
        self.tellers = _tellers(content) if ":" in content else ()
        self._tells_time: bool | None = None

    @property
    def tells_time(self) -> bool:
        if self._tells_time is None:
            self._tells_time = _TIME.search(self.content.casefold()) is not None
        return self._tells_time


def _tellers(content: str) -> tuple[str, ...]:
    teller = _TELLER.match(content)
    return tuple(_WORD.findall(teller[1].casefold())) if teller else ()


@dataclass(frozen=True, slots=True)
class Cues:
    present: bool
    past: bool
    when: bool
    named: frozenset[str]

    @classmethod
    def of(cls, query: str) -> "Cues":
        text = query.casefold()
        return cls(
            present=_PRESENT.search(text) is not None,
            past=_PAST.search(text) is not None or _BEFORE.search(text) is not None,
            when=_WHEN.search(text) is not None,
            named=frozenset(_WORD.findall(text)),
        )

    def met_by(self, said: Said) -> int:
        """How many of them a memory meets: it tells a time to a "when", and comes from somebody who is named."""
        named = said.tellers and not self.named.isdisjoint(said.tellers)
        return (1 if named else 0) + (1 if self.when and said.tells_time else 0)
