"""Measuring, on the toy model: what it says depends on every cache entry, so every figure can be foretold."""

from itertools import pairwise
from math import exp, log

import pytest

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.chat import ByteChatTokenizer
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.calibration import LEAST_TOKENS, Calibration, Effort
from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind
from agent_memory.domain.kv.turn import Sampling

TEXT = "\n".join(f"Line {number} of a text that somebody wrote for this." for number in range(40))
FEWER = (Precision(8), Precision(4))
EFFORT = Effort(tokens=600, window=300, contexts=1, distance=60)


class Narrow(ToyRuntime):
    """A toy of another precision; the toy itself knows one only."""

    def __init__(self, precision, **options):
        super().__init__(vocabulary=258, **options)
        self._precision = precision

    @property
    def spec(self):
        return CacheSpec((Layer(LayerKind.FULL, 1, 128, 128),), self._precision, block_tokens=64)


def engine_over(runtime):
    store, spec = InMemoryBlockStore(1 << 24), runtime.spec
    return Engine(
        runtime, TieredBlocks(store, WriteBehind(store, lambda: None)), Scheduler(spec, Ledger(spec, 1 << 24))
    )


def calibrate(open_runtime, text=TEXT, precisions=FEWER, effort=EFFORT):
    return list(Calibration(ByteChatTokenizer(), open_runtime, engine_over).run(text, precisions, effort))


def test_16_bits_come_first_and_agree_with_themselves():
    measured = calibrate(Narrow)
    assert [one.precision.bits for one in measured] == [16, 8, 4]
    assert measured[0].agreement == 1.0
    assert [one.token_bytes for one in measured] == [512, 272, 144]


def test_perplexity_is_the_mean_of_the_log_probabilities_over_all_windows():
    (one,) = calibrate(Narrow, precisions=())
    tokens = ByteChatTokenizer().encode(TEXT)[:600]
    log_probs = []
    for window in (tokens[:300], tokens[300:]):
        runtime = ToyRuntime(vocabulary=258)
        runtime.open("t", Sampling(temperature=0), [])
        for token, following in pairwise(window):
            log_probs += runtime.score("t", [token], [following]).log_probs
    assert one.perplexity == pytest.approx(exp(-sum(log_probs) / len(log_probs)))
    assert one.perplexity > exp(-log(0.9))


def test_another_model_agrees_as_often_as_its_tokens_are_the_same():
    runtimes = {16: "one", 8: "one", 4: "another"}
    measured = calibrate(lambda precision: Narrow(precision, weights=runtimes[precision.bits]))
    assert measured[1].agreement == 1.0
    assert measured[2].agreement < 0.1


def test_what_is_stored_alike_is_measured_once():
    assert len(calibrate(lambda _: Narrow(Precision(16)))) == 1


def test_a_toy_recalls_nothing():
    assert {one.recall for one in calibrate(Narrow)} == {0.0}


def test_a_text_that_says_too_little_is_refused():
    with pytest.raises(InvalidInput, match=f"text: 5 tokens are too few, it must have at least {LEAST_TOKENS}"):
        calibrate(Narrow, text="short")
