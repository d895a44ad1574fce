"""Forms of answers in llguidance's notation, a dialect of Lark's.

A marker that is a token of its own is written as that token: spelled out in letters it would be mere text.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_memory.adapters.guidance.schemas import closed
from agent_memory.domain.chat import Tool
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.speech import Markers
from agent_memory.ports.language import Foreword, Form, Grammar

# As json.dumps writes it. Free whitespace would let a model write blanks for ever.
_COMPACT = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
_ANY = r"(.|\n)*"

Spell = Callable[[str], Sequence[int | str]]
"""A marker as the tokens that stand for nothing else, and the text between them."""


def notation(form: Form, spell: Spell) -> str:
    return "\n".join(["%llguidance {}", *_Notation(spell).rules(form)])


class _Notation:
    def __init__(self, spell: Spell) -> None:
        self._spell = spell

    def rules(self, form: Form) -> list[str]:
        answer = [*self._answer(form)]
        if form.foreword is None:
            return ["start: answer", *answer]
        return [*self._foreword(form.foreword, free=form.grammar is None and not _forced(form)), *answer]

    def _foreword(self, foreword: Foreword, *, free: bool) -> list[str]:
        thought = "thought" if free else "thought GAP?"  # the newlines that models leave behind it
        first = thought if foreword.begun else f"({self._marker(foreword.markers.begin)} {thought})?"
        return [f"start: {first} answer", self._until("thought", foreword.markers.end), r"GAP: /\n{1,2}/"]

    def _answer(self, form: Form) -> list[str]:
        calls = form.calls
        if calls is None:
            assert form.grammar is not None, "a form of nothing"
            return [f"answer: {_of_grammar(form.grammar)}"]
        if not calls.tools:
            return ["answer: TEXT", f"TEXT: {_without(calls.markers.begin)}"]
        begin = self._marker(calls.markers.begin)
        more = f' ("\\n" {begin} call)*' if calls.many else ""
        called = [f"called: call{more}", *self._calls(calls.tools, calls.markers)]
        if calls.forced:
            return [f"answer: {begin} called", *called]
        if form.grammar is not None:
            return [f"answer: {_of_grammar(form.grammar)} | {begin} called", *called]
        free = ["answer: TEXT | head called", self._until("head", calls.markers.begin)]
        return [*free, f"TEXT: {_without(calls.markers.begin)}", *called]

    def _calls(self, tools: Sequence[Tool], markers: Markers) -> list[str]:
        rules = [
            f'call: "\\n" ({" | ".join(f"tool_{i}" for i in range(len(tools)))}) "}}\\n" {self._marker(markers.end)}'
        ]
        for i, tool in enumerate(tools):
            head = json.dumps(f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": ')
            rules += [f"tool_{i}: {head} arguments_{i}", f"arguments_{i}: %json {_arguments(tool)}"]
        return rules

    def _marker(self, text: str) -> str:
        return " ".join(f"<[{part}]>" if isinstance(part, int) else json.dumps(part) for part in self._spell(text))

    def _until(self, rule: str, marker: str) -> str:
        """Text that ends with the marker, where it first comes."""
        lazy = "" if isinstance(self._spell(marker)[0], int) else "[lazy]"
        text = f"/{_ANY}/" if lazy else _without(marker)
        return f"{rule}{lazy}: {rule.upper()}_TEXT {self._marker(marker)}\n{rule.upper()}_TEXT: {text}"


def _forced(form: Form) -> bool:
    return form.calls is not None and form.calls.forced


def _without(marker: str) -> str:
    escaped = re.escape(marker).replace("/", "\\/")
    return f"/{_ANY}/ & ~/{_ANY}{escaped}{_ANY}/"


def _of_grammar(grammar: Grammar) -> str:
    match grammar.kind:
        case "json_schema":
            schema = closed(_schema(grammar.text, grammar.field))
            return f"%json {json.dumps({**schema, 'x-guidance': _COMPACT})}"
        case "regex":
            return "/" + grammar.text.replace("/", "\\/") + "/"
        case "lark":
            return f"%lark {{\n{grammar.text}\n}}"


def _arguments(tool: Tool) -> str:
    """What a schema that is not strict has beyond what can be kept to is passed over."""
    field = f"tools: the parameters of {tool.name!r}"
    schema = closed(_schema(tool.parameters, field))
    if schema.get("type", "object") != "object":
        raise InvalidInput(field, "must be a schema of an object")
    return json.dumps({**schema, "type": "object", "x-guidance": {**_COMPACT, "lenient": not tool.strict}})


def _schema(text: str, field: str) -> Mapping[str, Any]:
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise InvalidInput(field, f"is no JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidInput(field, "must be a JSON schema: an object")
    return schema
