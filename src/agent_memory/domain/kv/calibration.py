"""How few bits a model bears: what was measured at each precision, and the choice that follows."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_memory.domain.kv.precision import Precision


@dataclass(frozen=True, slots=True)
class Measured:
    """One precision. `agreement`: the share of `tokens` for which 16 bits would have said the same. `recall`: the share
    of `questions` that were answered with the fact, told a distance before. `token_bytes`: all layers.
    """

    precision: Precision
    token_bytes: int
    perplexity: float
    agreement: float
    recall: float
    tokens: int = 0
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What fewer bits may cost, against 16: perplexity in percent, agreement and recall in points of a hundred."""

    perplexity: float = 1.0
    points: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first of `measured` is 16 bits."""

    chosen: Precision
    tolerance: Tolerance
    measured: tuple[Measured, ...]

    def perplexity_change(self, one: Measured) -> float:
        """In percent of that at 16 bits."""
        return _change(one, self.measured[0])


def judge(measured: Sequence[Measured], tolerance: Tolerance) -> Verdict:
    """The cheapest that is within the tolerance of the first, which is 16 bits."""
    reference = measured[0]

    def bears(one: Measured) -> bool:
        points = (reference.agreement - one.agreement, reference.recall - one.recall)
        return _change(one, reference) <= tolerance.perplexity and 100 * max(points) <= tolerance.points

    chosen = min((one for one in measured if bears(one)), key=lambda one: one.token_bytes)
    return Verdict(chosen.precision, tolerance, tuple(measured))


def _change(one: Measured, reference: Measured) -> float:
    return 100 * (one.perplexity / reference.perplexity - 1)
