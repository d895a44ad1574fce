"""Spells a grammar in the tokens of the model's tokenizer, and says at each step which may come next.

Knows grammars and tokens. What a grammar is for (a tool call, a JSON answer) is the conversation's.
"""

import logging
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from llguidance import LLMatcher, LLTokenizer, hf

from agent_memory.domain.errors import InvalidInput
from agent_memory.ports.kv import Grammar

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
    """`tokenizer` is a fast one of transformers; `vocabulary` is how many logits the model gives. Reading a large
    vocabulary takes about a second, and is put off until the first grammar.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, stop_tokens: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._stop_tokens = sorted(stop_tokens)

    def compile(self, grammar: Grammar) -> GuidanceConstraint:
        match grammar.kind:
            case "json_schema":
                text = self._try(LLMatcher.grammar_from_json_schema, grammar.text)
            case "regex":
                text = self._try(LLMatcher.grammar_from_regex, grammar.text)
            case "lark":
                text = self._try(LLMatcher.grammar_from_lark, grammar.text)
        matcher = self._try(LLMatcher, self._spelling, text, log_level=0)
        if matcher.is_error():
            raise InvalidInput("grammar", _reason(matcher.get_error()))
        return GuidanceConstraint(matcher, self._ends)

    def _try(self, make: Any, *given: Any, **options: Any) -> Any:
        try:
            return make(*given, **options)
        except (ValueError, TypeError) as error:
            raise InvalidInput("grammar", _reason(str(error))) from error

    @cached_property
    def _spelling(self) -> LLTokenizer:
        width = max(self._vocabulary, len(self._tokenizer))
        return hf.from_tokenizer(self._tokenizer, n_vocab=width, eos_token=self._stop_tokens or None)

    @cached_property
    def _ends(self) -> bytes:
        bits = bytearray((self._vocabulary + 7) // 8)
        for token in self._stop_tokens:
            bits[token // 8] |= 1 << token % 8
        return bytes(bits)


def _reason(error: str) -> str:
    """The first line says what is wrong; the rest is where the compiler was."""
    return error.strip().splitlines()[0][:500]
