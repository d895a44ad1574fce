"""About how many tokens a language model reads for a text, whichever model it is: no vocabulary is known here.

Each piece that a pattern finds is so many tokens. The patterns were fitted to a vocabulary of 65,000 (Claude 2's, which
has less room for other scripts than those of today) over notes in English, German, Japanese and Arabic, code, JSON,
addresses and UUIDs: it reads 0.7 to 1 of what is told here, of Thai, base64 and the longest compounds up to 1.2.
"""

import re

_PIECES = re.compile(
    r"(?<![A-Za-zÀ-ɏ])[A-ZÀ-Þ]?[a-zß-ɏ]{1,5}|[A-ZÀ-Þ]?[a-zß-ɏ]{1,3}|[A-ZÀ-Þ]{1,2}|[0-9]{1,2}"
    r"|[!-/:-@\[-`{-~\x00-\x1f\x7f-\u00bf]|\s{2,32}"
)
# So many for each character of a run.
_RUNS = (
    (re.compile(r"[À-ɏ]+"), 0.6),  # for the accent
    (re.compile(r"[Ͱ-֏]+"), 0.65),  # Greek, Cyrillic, Armenian
    (re.compile(r"[^\W\x00-ɏͰ-֏]+"), 1.15),
    (re.compile(r"[^\w\x00-¿]+"), 2.2),  # emoji, and marks that stand at a letter
)
_RATHER_MORE = 1.05
_DEEPER = 4


def tokens_of(text: str) -> int:
    """Rather more than fewer, and at least one."""
    tokens = float(len(_PIECES.findall(text)))
    if not text.isascii():
        tokens += sum(each * sum(map(len, pattern.findall(text))) for pattern, each in _RUNS)
    return int(_RATHER_MORE * tokens) + 1


def tokens_up_to(most: int, text: str) -> int:
    """As `tokens_of`; or more than `most`, for which hardly more of the text is looked at than that takes."""
    looked_at = most + 1
    while (tokens := tokens_of(text[:looked_at])) <= most and looked_at < len(text):
        looked_at *= _DEEPER
    return tokens
