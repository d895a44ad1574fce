"""The next token from logits: greedy, or drawn with a key that depends on the seed and the token's position alone."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import mlx.core as mx
import numpy as np
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p, make_repetition_penalty

from agent_memory.domain.kv.constraint import Path
from agent_memory.domain.kv.steps import Logprobs
from agent_memory.domain.kv.turn import Sampling

_MASK = (1 << 64) - 1


@dataclass(slots=True)
class Answer:
    """What one turn has said since it began to speak, as far as what comes next depends on it; the `last` token, and
    the `logits` [1, vocabulary] that it came from, if they are wanted.
    """

    counts: Counter[int] = field(default_factory=Counter)
    path: Path | None = None
    last: int = 0
    logits: mx.array | None = None

    @classmethod
    def begin(cls, sampling: Sampling) -> "Answer":
        return cls(path=sampling.constraint.begin() if sampling.constraint else None)

    def take(self, token: int) -> None:
        self.counts[token] += 1
        if self.path is not None:
            self.path.take(token)


def say(logits: mx.array, sampling: Sampling, position: int, answer: Answer) -> mx.array:
    """`logits` [1, vocabulary] -> token [1]. Batching, restoring and preemption do not change the draw."""
    logits = _adjusted(logits, sampling, answer)
    if sampling.temperature < 1e-5 or sampling.top_p <= 0:
        return mx.argmax(logits, axis=-1)
    logprobs = _log_softmax(logits)
    if 0 < sampling.top_k < logprobs.shape[-1]:
        logprobs = apply_top_k(logprobs, sampling.top_k)
    if sampling.top_p < 1:
        logprobs = apply_top_p(logprobs, sampling.top_p)
    if sampling.min_p > 0:
        logprobs = apply_min_p(logprobs, sampling.min_p)
    key = mx.random.key(((sampling.seed or 0) * 0x9E3779B97F4A7C15 + position) & _MASK)
    return mx.random.categorical(logprobs / sampling.temperature, key=key)


def likelihoods(answer: Answer, count: int) -> Logprobs:
    """Of the last token and of the `count` likeliest, under the logits as the model gave them."""
    assert answer.logits is not None, "nobody asked for them"
    logprobs = np.asarray(_log_softmax(answer.logits))[0]
    likeliest = np.argsort(-logprobs, kind="stable")[:count]
    return Logprobs(float(logprobs[answer.last]), tuple((int(i), float(logprobs[i])) for i in likeliest))


def _log_softmax(logits: mx.array) -> mx.array:
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _adjusted(logits: mx.array, sampling: Sampling, answer: Answer) -> mx.array:
    if sampling.repetition_penalty != 1 and answer.counts:
        unrepeated = make_repetition_penalty(sampling.repetition_penalty, len(answer.counts))
        logits = unrepeated(mx.array(list(answer.counts)), logits.astype(mx.float32))
    change: defaultdict[int, float] = defaultdict(float)
    if sampling.frequency_penalty or sampling.presence_penalty:
        for token, count in answer.counts.items():
            change[token] -= sampling.frequency_penalty * count + sampling.presence_penalty
    for token, bias in sampling.logit_bias:
        change[token] += bias
    if change:
        added = mx.array(list(change.values()), dtype=mx.float32)
        logits = logits.astype(mx.float32).at[:, mx.array(list(change))].add(added)
    if answer.path is not None:
        width = logits.shape[-1]
        bits = np.unpackbits(np.frombuffer(answer.path.allowed(), np.uint8), bitorder="little")[:width]
        allowed = mx.array(np.pad(bits, (0, width - len(bits))).astype(bool))
        logits = mx.where(allowed, logits, -mx.inf)
    return logits
