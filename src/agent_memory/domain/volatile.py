"""What agents write anew into every system prompt, and where it does no harm to the prefix.

A prompt is reused up to its first token that differs. Three kinds of segments are known, all of whole lines, and looked
for in the leading system messages only: what says nothing to a model is left out, what holds for a session is put at
the end of the system prompt, and what holds for a moment at the end of the conversation. docs/dialects.md lists them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from agent_memory.domain.chat import Message

_FLAGS = re.MULTILINE | re.IGNORECASE
_MARKUP = r"^[ \t]*(?:[-*#]+[ \t]+)?(?:\*\*)?"
_REST = r"[^\n]*(?:\n|\Z)"  # of the line
_TIME = r"(?:the )?current (?:local )?(?:date(?: and | ?/ ?| ?& ?)time|datetime|time)"
_BLOCK = r"^[ \t]*<env>[ \t]*\n(?:(?![ \t]*<env>)[^\n]*\n){0,100}?[ \t]*</env>[ \t]*(?:\n|\Z)"
_FACTS = (
    "(?:today['\N{RIGHT SINGLE QUOTATION MARK}]s date|current date|(?:primary |current )?working directory"
    r"|(?:session|conversation|thread)[ _]id|conversation started)(?:\*\*)?(?:[ \t]*:|[ \t]+is\b)"
)

NONCES = re.compile(r"^x-anthropic-[a-z-]+:" + _REST, _FLAGS)
MOMENTS = re.compile(
    rf"{_MARKUP}{_TIME}(?:\*\*)?[ \t]*(?:\([^)\n]*\)[ \t]*)?(?::|is\b){_REST}"
    rf"|^#+[ \t]+{_TIME}[ \t]*\n[^\n]*\d{_REST}",
    _FLAGS,
)
SESSIONS = re.compile(rf"{_BLOCK}|{_MARKUP}(?:{_FACTS}|today is\b){_REST}", _FLAGS)


def steadied(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same, so that the next request begins as this one does. Done twice, it changes nothing more."""
    leading = next((i for i, each in enumerate(messages) if each.role != "system"), len(messages))
    session: list[str] = []
    moment: list[str] = []
    kept = [_without(each, session, moment) for each in messages[:leading]]
    system = [each for each in kept if each.content]
    rest = list(messages[leading:])
    if moment and not _put_last(rest, moment):
        session += moment
    if session:
        told = "\n".join(session)
        if system:
            system[-1] = replace(system[-1], content=f"{system[-1].content}\n\n{told}")
        else:
            system = [Message("system", told)]
    return (*system, *rest)


def _without(message: Message, session: list[str], moment: list[str]) -> Message:
    text = NONCES.sub("", message.content)
    text = _take(MOMENTS, text, moment)
    text = _take(SESSIONS, text, session)
    return message if text == message.content else replace(message, content=text.strip("\n"))


def _take(pattern: re.Pattern[str], text: str, into: list[str]) -> str:
    into += [found.strip("\n") for found in pattern.findall(text)]
    return pattern.sub("", text)


def _put_last(messages: list[Message], moment: Sequence[str]) -> bool:
    """After the last word that is not the model's, if there is one."""
    for number in reversed(range(len(messages))):
        if messages[number].role in ("user", "tool"):
            said = messages[number]
            messages[number] = replace(said, content="\n\n".join((said.content, *moment)))
            return True
    return False
