"""Where a conversation is worth coming back to, and so which blocks keep their local parts.

Keys and values of a windowed layer serve only a prefix that ends within reach behind their block, a recurrent layer's
state only one that ends exactly with it. These local parts are kept at the ends of prompts and answers, at marks (the
end of a system prompt) and at sparse checkpoints; everywhere else they would cost several times what the lasting parts
do and never be read.
"""

from collections.abc import Iterable, Sequence

from agent_memory.domain.kv.block import CacheBlock, Part, PartKey
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.turn import Phase, Turn

CHECKPOINT_BLOCKS = (4, 32)  # from one checkpoint to the next, at least and at most
WINDOWS_APART = 16  # of a long conversation, so large a part is kept as windows before checkpoints
EXPECTED = 4  # places at which a turn keeps local parts: system prompt, question before, prompt and answer
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
        return max(most, WINDOWS_APART * spec.reach // spec.block_tokens * spec.block_tokens)
    tokens = least
    while tokens < most and spec.lasting_bytes(tokens) < spec.state_bytes:
        tokens *= 2
    return tokens


def within_reach(block: CacheBlock, end: int, reach: int) -> bool:
    """Whether a prefix of `end` tokens needs this block's local part."""
    return block.start < end and block.end > end - reach


class Tips:
    """What that means for the turns of a model of this spec."""

    def __init__(self, spec: CacheSpec) -> None:
        self._spec = spec
        self._reach = spec.reach
        self._apart = checkpoint_tokens(spec)

    def of(self, turn: Turn) -> tuple[int, ...]:
        """Where this conversation is likely to be taken up again, as far as one can tell now."""
        if turn.only_read:
            return (turn.prompt_tokens, *turn.marks, *((turn.position,) if turn.phase is Phase.ENDING else ()))
        ends = (turn.prompt_tokens, *turn.marks, *((turn.rereads,) if turn.finish else ()))
        if not self._spec.exact:
            return ends
        # A prompt that comes again is restored to before its last token; the newest question may be put otherwise; and
        # a turn that is put away goes on where it stands.
        more = (turn.prompt_tokens - 1, *(end for _, end in turn.answers[-1:]), turn.position)
        ends += more if turn.phase is Phase.ENDING else more[:-1]
        return tuple(end for end in ends if end != turn.prompt_tokens)

    def stands_at_one(self, turn: Turn) -> bool:
        """Whether a block is to be kept that ends here, be it shorter than a whole one."""
        if not self._spec.exact:
            return turn.phase is Phase.ENDING
        return turn.position == turn.read and turn.position in self.of(turn) and turn.position != turn.stated

    def local(self, turn: Turn, blocks: Sequence[CacheBlock]) -> tuple[CacheBlock, ...]:
        """Those of the turn's blocks that are kept with their local parts. A state is that of where the turn stands; it
        may be the first reason to stand there, and the block is kept already.
        """
        if not turn.stored:
            return ()
        ends = self.of(turn)
        here = [block for block in blocks if block.end == turn.position] if self._spec.exact else blocks
        if not blocks and not self._spec.windowed and self.stands_at_one(turn):
            return tuple(turn.chain[-1:]) if self._spec.exact else ()
        return tuple(block for block in here if self.worth_local(block, ends))

    def local_bytes(self, tokens: int) -> int:
        """What a turn of so many tokens is expected to keep in local parts."""
        return self._spec.window_bytes(min(tokens, EXPECTED * self._reach)) + EXPECTED * self._spec.state_bytes

    def halts(self, turn: Turn) -> tuple[int, ...]:
        """Where reading has to stop because a state is kept there."""
        return (*turn.marks, (turn.position // self._apart + 1) * self._apart) if self._spec.exact else ()

    def brings(self, turn: Turn, common: int, known: int) -> bool:
        """Whether a turn that has `common` tokens with a prompt is about to keep more of them than the `known`."""
        if not self._spec.exact:
            return common >= known + (1 if turn.finish or turn.only_read else self._spec.block_tokens)
        coming = (*self.of(turn), common - common % self._apart)
        return any(known < end <= common and end >= turn.position for end in coming)

    def passed_windows(self, turn: Turn) -> list[CacheBlock]:
        """Blocks whose windows served earlier turns only, but for the turn before, which may be answered again."""
        ends = (*self.of(turn), *(end for answer in turn.answers[-1:] for end in answer))
        return [block for block in turn.chain if not self.worth_local(block, ends)]

    def left_behind(self, turn: Turn) -> list[PartKey]:
        """What only an old branch of this conversation could be restored from, oldest first."""
        tips = [tip for tip in turn.passed(self._spec.block_tokens) if tip.end % self._apart]
        shorter = self._spec.block_tokens
        parts = ((tip, (Part.LOCAL, Part.LASTING) if len(tip) < shorter else (Part.LOCAL,)) for tip in tips)
        return [PartKey(tip.hash, part) for tip, both in parts for part in both]

    def worth_local(self, block: CacheBlock, ends: Iterable[int]) -> bool:
        if self._spec.exact and not self._spec.windowed:
            return block.end in ends or block.end % self._apart == 0
        # A checkpoint is restored exactly where it is, so it needs no slack, which would be a whole block more.
        next_checkpoint = -(-block.end // self._apart) * self._apart
        return self._spec.windowed and (
            within_reach(block, next_checkpoint, self._reach)
            or any(within_reach(block, end, self._reach + SLACK_TOKENS) for end in ends)
        )
