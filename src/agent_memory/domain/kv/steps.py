"""The words between the scheduler and the engine: a step to run, what came of it, and what clients learn of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.turn import FinishReason, Turn, TurnId


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring the first `length` tokens into the runtime from `blocks`, with local parts of those in `local`; or go on in
    the cache of a `parked` turn, cut to that length. It is put down after `seconds`, if they are given. `known` counts
    the tokens that are stored at all.
    """

    turn: Turn
    blocks: tuple[CacheBlock, ...]
    local: tuple[CacheBlock, ...]
    length: int
    known: int
    parked: TurnId | None = None
    seconds: float | None = None

    @property
    def keys(self) -> list[PartKey]:
        """The parts that are needed for it."""
        if self.parked is not None:
            return []
        lasting = [PartKey(block.hash, Part.LASTING) for block in self.blocks]
        return lasting + [PartKey(block.hash, Part.LOCAL) for block in self.local]

    def tokens_of(self, blocks: Collection[BlockHash]) -> int:
        """How many of its tokens these blocks bring."""
        return sum(min(block.end, self.length) - block.start for block in self.blocks if block.hash in blocks)


@dataclass(frozen=True, slots=True)
class Prefill:
    """Read tokens `start` to `stop`; if it has `begun`, go on with that. It is put down after `seconds`, if they are
    given.
    """

    turn: Turn
    start: int
    stop: int
    begun: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Decode:
    """Feed each turn its token at `position`, and let it say the next; the prompt's last token is the first one fed."""

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """Take `blocks` out of the runtime into the tiers, and local parts of those in `local`: some of these, or one that
    was kept without.
    """

    turn: Turn
    blocks: tuple[CacheBlock, ...]
    local: tuple[CacheBlock, ...]

    @property
    def touched(self) -> tuple[CacheBlock, ...]:
        return tuple(dict.fromkeys((*self.blocks, *self.local)))


@dataclass(frozen=True, slots=True)
class Rewind:
    """Go back to before the last token of the prompt; the answer will be read again, or is not kept."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class Retire:
    """With `park`, its cache stays open for the next turn of the conversation."""

    turn: Turn
    park: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    pass


Step = Restore | Prefill | Decode | Rewind | Save | Retire | Idle


@dataclass(frozen=True, slots=True)
class Restored:
    """`promoted` are the parts that came from a slower tier. Not `done`: there is work left to compute."""

    promoted: tuple[tuple[PartKey, int], ...] = ()
    done: bool = True


@dataclass(frozen=True, slots=True)
class Read:
    """Not `done`: the piece was put down, to be taken up again."""

    done: bool = True


@dataclass(frozen=True, slots=True)
class Lost:
    """Parts that were known could not be read: damaged, foreign or gone."""

    keys: tuple[PartKey, ...]


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Of a token that was said, and of the likeliest in its place, the first of them first: natural logarithms."""

    said: float
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Sampled:
    """One token for each turn of the step, and how likely it was, for those who want to know."""

    tokens: tuple[int, ...]
    logprobs: Mapping[TurnId, Logprobs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """The size of every part that was taken out."""

    sizes: tuple[tuple[PartKey, int], ...] = ()


Outcome = Restored | Lost | Read | Sampled | Kept | None


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt's first `cached_tokens` need no reading; `disk_tokens` of them came from the slower tier. The first
    `known_tokens` are stored: where fewer are cached, what is needed to go on there (a local part) is not.
    """

    turn: TurnId
    cached_tokens: int
    disk_tokens: int = 0
    known_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    turn: TurnId
    token: int
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    turn: TurnId
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Failed:
    turn: TurnId
    error: Exception


Event = Started | Said | Finished | Failed
