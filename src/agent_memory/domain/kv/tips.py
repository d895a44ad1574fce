"""Where a conversation is worth coming back to, and so which blocks keep their local parts.

Keys and values of a windowed layer serve only a prefix that ends within reach behind their block, a recurrent layer's
state only one that ends exactly with it. These local parts are kept at the ends of prompts and answers, at marks (the
end of a system prompt) and at sparse checkpoints; everywhere else they would cost several times what the lasting parts
do and never be read.
"""

from collections.abc import Iterable

from agent_memory.domain.kv.block import CacheBlock
from agent_memory.domain.kv.spec import CacheSpec

CHECKPOINT_BLOCKS = (4, 32)  # from one checkpoint to the next, at least and at most
SLACK_TOKENS = 8  # a prefix is often restored a little short of its end: a prompt's last token is always read again


def checkpoint_tokens(spec: CacheSpec) -> int:
    """How far apart checkpoints are: where a prefill that was cut off, or a prompt that leaves a long conversation in
    its middle, is taken up again.

    A state costs the same however far apart they are: they lie as close as they can without costing more than the
    lasting parts between them. So at most half of a long conversation's bytes are checkpoints, unless states are so
    large that it would be read anew for more than the longest distance.
    """
    least, most = (blocks * spec.block_tokens for blocks in CHECKPOINT_BLOCKS)
    if spec.windowed:
        return most
    tokens = least
    while tokens < most and spec.lasting_bytes(tokens) < spec.state_bytes:
        tokens *= 2
    return tokens


def within_reach(block: CacheBlock, end: int, reach: int) -> bool:
    """Whether a prefix of `end` tokens needs this block's local part."""
    return block.start < end and block.end > end - reach


def worth_local(block: CacheBlock, ends: Iterable[int], spec: CacheSpec) -> bool:
    apart = checkpoint_tokens(spec)
    if spec.exact and not spec.windowed:
        return block.end in ends or block.end % apart == 0
    next_checkpoint = -(-block.end // apart) * apart
    return spec.windowed and any(
        within_reach(block, end, spec.reach + SLACK_TOKENS) for end in (*ends, next_checkpoint)
    )
