"""Measures what a precision costs: perplexity, agreement with 16 bits, and recall of facts, through the caches that
serve. Every token after the first chunk is read with keys and values as the store gives them back.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import exp

from agent_memory.application.engine import Engine
from agent_memory.domain.chat import Message
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.calibration import Measured
from agent_memory.domain.kv.precision import FULL_BITS, Precision
from agent_memory.domain.kv.probe import FACTS, Fact, facts, talk, telling
from agent_memory.domain.kv.steps import Failed, Said
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId
from agent_memory.ports.kv import ScoringRuntime
from agent_memory.ports.language import ChatTokenizer

SCORED_AT_ONCE = 128
"""Tokens; the logits of all of them are in memory together."""
LEAST_TOKENS = 512
_LONGEST_TOKEN = 16
"""Characters; of a long text no more is looked at than so many for each token that is wanted."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: `tokens` of text in windows of `window`; `contexts` of eight facts each, asked for after
    `distance` tokens of other talk, and answered in at most `answer` tokens.
    """

    tokens: int = 8192
    window: int = 2048
    contexts: int = 8
    distance: int = 1024
    answer: int = 48


class Calibration:
    """`open_runtime` loads the model with caches of a precision; `open_engine` makes an engine over it, with a store
    of its own. Runs on the thread that owns the model.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        open_runtime: Callable[[Precision], ScoringRuntime],
        open_engine: Callable[[ScoringRuntime], Engine],
    ) -> None:
        self._tokenizer = tokenizer
        self._open_runtime = open_runtime
        self._open_engine = open_engine
        self._names = (TurnId(f"calibration-{number}") for number in count())

    def run(self, text: str, precisions: Iterable[Precision], effort: Effort) -> Iterator[Measured]:
        """Each as it is measured, 16 bits first. Two that the model's heads store alike are measured once. Raises
        InvalidInput when the text is too short to say anything.
        """
        tokens = self._tokenizer.encode(text[: effort.tokens * _LONGEST_TOKEN])[: effort.tokens]
        if len(tokens) < LEAST_TOKENS:
            raise InvalidInput("text", f"{len(tokens)} tokens are too few, it must have at least {LEAST_TOKENS}")
        begin, size = list(self._tokenizer.beginning), effort.window
        windows = [begin + tokens[at : at + size] for at in range(0, len(tokens) - 1, size)]
        reference: list[int] = []
        stored: set[str] = set()
        for precision in (Precision(bits=FULL_BITS), *precisions):
            runtime = self._open_runtime(precision)
            if runtime.spec.identity in stored:
                continue
            stored.add(runtime.spec.identity)
            perplexity, likeliest = self._read(runtime, windows)
            reference = reference or likeliest
            same = sum(a == b for a, b in zip(reference, likeliest, strict=True))
            yield Measured(
                runtime.spec.precision,
                token_bytes=runtime.spec.lasting_bytes(1) + runtime.spec.window_bytes(1),
                perplexity=perplexity,
                agreement=same / len(reference),
                recall=self._recall(runtime, text, effort),
                tokens=len(tokens),
                questions=effort.contexts * FACTS,
            )

    def _read(self, runtime: ScoringRuntime, windows: Sequence[Sequence[int]]) -> tuple[float, list[int]]:
        """Perplexity = exp(-mean of the log-probabilities), every token but each window's first; and what 16 bits are
        compared by.
        """
        log_probs: list[float] = []
        likeliest: list[int] = []
        for window in windows:
            turn = next(self._names)
            runtime.open(turn, Sampling(temperature=0), [])
            for at in range(0, len(window) - 1, SCORED_AT_ONCE):
                following = window[at + 1 : at + 1 + SCORED_AT_ONCE]
                scores = runtime.score(turn, window[at : at + len(following)], following)
                log_probs += scores.log_probs
                likeliest += scores.likeliest
            runtime.close(turn)
        return exp(-sum(log_probs) / len(log_probs)), likeliest

    def _recall(self, runtime: ScoringRuntime, text: str, effort: Effort) -> float:
        results = []
        for seed in range(effort.contexts):
            messages, told = self._context(text, effort.distance, seed)
            engine = self._open_engine(runtime)
            for fact in told:
                answer = self._answer(engine, [*messages, Message("user", fact.asked)], effort.answer)
                results.append(fact.recalled_in(answer))
            engine.close()
        return sum(results) / max(1, len(results))

    def _context(self, text: str, distance: int, seed: int) -> tuple[tuple[Message, ...], tuple[Fact, ...]]:
        """Facts, and talk after them until so many tokens are between."""
        told = facts(seed)
        messages = list(telling(told))
        goal = len(self._tokenizer.render(messages).tokens) + distance
        length, pieces = 0, talk(text, seed)
        while length < goal:
            piece = next(pieces)
            messages += piece
            length = len(self._tokenizer.render(messages).tokens)
        return tuple(messages), told

    def _answer(self, engine: Engine, messages: Sequence[Message], limit: int) -> str:
        rendered = self._tokenizer.render(messages)
        stops, stream = self._tokenizer.stop_tokens, self._tokenizer.stream()
        turn = Turn(
            next(self._names),
            engine.namespace("calibration").root,
            rendered.tokens,
            limit,
            Sampling(temperature=0),
            stops,
            marks=rendered.marks,
            answers=rendered.answers,
        )
        engine.submit(turn)
        said = "".join(stream.add(token) for token in _said(engine) if token not in stops)
        return said + stream.finish()


def _said(engine: Engine) -> Iterator[int]:
    """Until the engine has nothing left to do."""
    while not engine.idle:
        for event in engine.step():
            match event:
                case Said(_, token):
                    yield token
                case Failed(_, error):
                    raise error
                case _:
                    pass
