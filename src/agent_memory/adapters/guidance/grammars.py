"""Spells a grammar in the tokens of the model's tokenizer, and says at each step which may come next.

Knows grammars and tokens. What a grammar is for (a tool call, a JSON answer) is the conversation's.
"""

import logging
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from llguidance import LLMatcher, LLTokenizer

from agent_memory.domain.errors import InvalidInput
from agent_memory.ports.kv import Grammar

# As json.dumps writes it. Free whitespace would let a model write blanks for ever.
_COMPACT: Any = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}

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

    def compile(self, grammar: Grammar) -> GuidanceConstraint:
        try:
            matcher = LLMatcher(self._spelling, _notation(grammar), log_level=0)
        except (ValueError, TypeError) as error:
            raise InvalidInput(grammar.field, _reason(str(error))) from error
        if matcher.is_error():
            raise InvalidInput(grammar.field, _reason(matcher.get_error()))
        return GuidanceConstraint(matcher, self._ends)

    @cached_property
    def _spelling(self) -> LLTokenizer:
        return LLTokenizer(self._definition(), n_vocab=self._vocabulary, eos_token=self._stop_tokens or None)

    @cached_property
    def _ends(self) -> bytes:
        bits = bytearray((self._vocabulary + 7) // 8)
        for token in self._stop_tokens:
            bits[token // 8] |= 1 << token % 8
        return bytes(bits)


def _notation(grammar: Grammar) -> str:
    """Llguidance's own."""
    match grammar.kind:
        case "json_schema":
            return LLMatcher.grammar_from_json_schema(grammar.text, overrides=_COMPACT)
        case "regex":
            return LLMatcher.grammar_from_regex(grammar.text)
        case "lark":
            return LLMatcher.grammar_from_lark(grammar.text)


def _reason(error: str) -> str:
    """The first line says what is wrong; the rest is where the compiler was."""
    return error.strip().splitlines()[0][:500]
