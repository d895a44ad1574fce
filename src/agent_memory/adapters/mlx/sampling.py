"""The next token from logits: greedy, or drawn with a key that depends on the seed and the token's position alone."""

import mlx.core as mx
from mlx_lm.sample_utils import apply_top_p

from agent_memory.domain.kv.turn import Sampling

_MASK = (1 << 64) - 1


def say(logits: mx.array, sampling: Sampling, position: int) -> mx.array:
    """`logits` [1, vocabulary] -> token [1]. Batching, restoring and preemption do not change the draw."""
    if sampling.temperature < 1e-5 or sampling.top_p <= 0:
        return mx.argmax(logits, axis=-1)
    logits = logits.astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    if sampling.top_p < 1:
        logprobs = apply_top_p(logprobs, sampling.top_p)
    key = mx.random.key(((sampling.seed or 0) * 0x9E3779B97F4A7C15 + position) & _MASK)
    return mx.random.categorical(logprobs / sampling.temperature, key=key)
