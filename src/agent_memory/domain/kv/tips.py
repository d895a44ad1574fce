"""Where a conversation is worth coming back to, and so which blocks keep their local parts.

A local part (a windowed layer's keys and values) serves only a prefix that ends within reach behind its block. They are
kept before the ends of prompts and answers, before marks (the end of a system prompt) and before sparse checkpoints;
everywhere else they would cost several times what the lasting parts do and never be read.
"""

from collections.abc import Iterable

from agent_memory.domain.kv.block import CacheBlock

CHECKPOINT_TOKENS = 8192
SLACK_TOKENS = 8  # a prefix is often restored a little short of its end: a prompt's last token is always read again


def within_reach(block: CacheBlock, end: int, reach: int) -> bool:
    """Whether a prefix of `end` tokens needs this block's local part."""
    return block.start < end and block.end > end - reach


def worth_local(block: CacheBlock, ends: Iterable[int], reach: int) -> bool:
    next_checkpoint = -(-block.end // CHECKPOINT_TOKENS) * CHECKPOINT_TOKENS
    return reach > 0 and any(within_reach(block, end, reach + SLACK_TOKENS) for end in (*ends, next_checkpoint))
