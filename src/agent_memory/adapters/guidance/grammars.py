"""Spells forms in the tokens of the model's tokenizer, and says at each step which may come next.

Knows grammars and tokens. What a form is for is the conversation's.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, lru_cache

from llguidance import LLMatcher, LLTokenizer

from agent_memory.adapters.guidance.notation import notation
from agent_memory.adapters.guidance.schemas import without_patterns
from agent_memory.domain.chat import Tool
from agent_memory.domain.errors import InvalidInput
from agent_memory.ports.language import Form

_PLACE = re.compile(r"^at \d+\(\d+\): ")
_REMEMBERED = 64  # forms: agents ask with the same tools at every turn

log = logging.getLogger(__name__)


class GuidancePath:
    def __init__(self, matcher: LLMatcher, ends: bytes) -> None:
        self._matcher = matcher
        self._ends = ends

    def allowed(self) -> bytes:
        if self._matcher.is_stopped() or self._matcher.is_error():
            return self._ends
        mask = bytes(self._matcher.compute_bitmask())
        if not any(mask):  # its own limits are exceeded: rather an answer that is cut than one that is wrong
            log.warning("an answer left its grammar: %s", self._matcher.get_error())
            return self._ends
        return mask

    def take(self, token: int) -> None:
        if not self._matcher.is_stopped() and not self._matcher.consume_token(token):
            log.warning("token %d is not in the grammar: %s", token, self._matcher.get_error())


class GuidanceConstraint:
    def __init__(self, matcher: LLMatcher, ends: bytes) -> None:
        self._matcher = matcher
        self._ends = ends

    def begin(self) -> GuidancePath:
        return GuidancePath(self._matcher.deep_copy(), self._ends)


class GuidanceCompiler:
    """`definition` gives the tokenizer as the tokenizers library writes it, `vocabulary` is how many tokens it has.
    Reading a large one takes about a second, and is put off until the first grammar.
    """

    def __init__(self, definition: Callable[[], str], vocabulary: int, stop_tokens: Iterable[int]) -> None:
        self._definition = definition
        self._vocabulary = vocabulary
        self._stop_tokens = sorted(stop_tokens)
        self._matcher = lru_cache(_REMEMBERED)(self._compile)

    def compile(self, form: Form) -> GuidanceConstraint:
        return GuidanceConstraint(self._matcher(form), self._ends)

    def _compile(self, form: Form) -> LLMatcher:
        matcher, error = self._tried(form)
        if matcher is None and (loose := self._loosened(form)) != form:
            matcher, _ = self._tried(loose)
        if matcher is None:
            raise InvalidInput(self._culprit(form), error)
        return matcher

    def _tried(self, form: Form) -> tuple[LLMatcher | None, str]:
        """A matcher, or why there is none."""
        try:
            matcher = LLMatcher(self._spelling, notation(form, self._spelled), log_level=0)
        except (ValueError, TypeError, RecursionError) as error:
            return None, _reason(str(error))
        return (None, _reason(matcher.get_error())) if matcher.is_error() else (matcher, "")

    def _loosened(self, form: Form) -> Form:
        """Of tools that are not strict, patterns are passed over when one of them cannot be read."""
        if form.calls is None:
            return form
        tools = tuple(tool if tool.strict else _loosened(tool) for tool in form.calls.tools)
        return replace(form, calls=replace(form.calls, tools=tools))

    def _culprit(self, form: Form) -> str:
        for tool in form.calls.tools if form.calls else ():
            alone = Form(calls=replace(form.calls, tools=(tool,), forced=True)) if form.calls else form
            if self._tried(alone)[0] is None:
                return f"tools: the parameters of {tool.name!r}"
        return form.grammar.field if form.grammar else "tools"

    def _spelled(self, marker: str) -> list[int | str]:
        """A marker as the tokens that stand for nothing else, and the text between them."""
        parts: list[int | str] = []
        rest = marker
        for token in self._spelling.tokenize_str(marker, parse_special=True):
            if self._spelling.is_special_token(token):
                before, _, rest = rest.partition(self._spelling.decode_str([token]))
                parts += [before, token] if before else [token]
        return [*parts, rest] if rest else parts

    @cached_property
    def _spelling(self) -> LLTokenizer:
        return LLTokenizer(self._definition(), n_vocab=self._vocabulary, eos_token=self._stop_tokens or None)

    @cached_property
    def _ends(self) -> bytes:
        bits = bytearray((self._vocabulary + 7) // 8)
        for token in self._stop_tokens:
            bits[token // 8] |= 1 << token % 8
        return bytes(bits)


def _loosened(tool: Tool) -> Tool:
    try:
        return replace(tool, parameters=json.dumps(without_patterns(json.loads(tool.parameters))))
    except RecursionError:
        return tool


def _reason(error: str) -> str:
    """What is wrong; not where the compiler was, in a grammar that only we have seen."""
    first, *rest = _PLACE.sub("", error.strip()).splitlines()
    why = next((line.removeprefix("error:") for line in rest if line.startswith("error:")), "")
    return f"{first}{why}"[:500]
