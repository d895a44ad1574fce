"""One request of one agent, from its prompt to its last token, and the phase it is in.

Knows token ids only: text, stop strings and the wire are the conversation's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NewType

from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.block import BlockHash, CacheBlock, pack
from agent_memory.domain.kv.constraint import Constraint

TurnId = NewType("TurnId", str)
FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """`temperature` 0 is greedy. The same seed on the same tokens gives the same answer, however the turn is batched,
    restored or preempted; without one, the conversation draws it.

    `top_k` 0 is all of them; `min_p` is a share of the likeliest one's probability. The penalties are OpenAI's: taken
    off the logit of a token that the answer has already, once (presence) and for each time (frequency). A
    `repetition_penalty` divides such a token's logit where it is positive and multiplies it where it is negative
    (CTRL, arXiv:1909.05858). `logit_bias` is added: (token, bias). With `logprobs`, each token comes with its
    log-probability, and those of so many likeliest ones, under the model's own distribution.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    logprobs: int | None = None
    constraint: Constraint | None = None


class Phase(Enum):
    WAITING = "waiting"
    RESTORING = "restoring"
    PREFILLING = "prefilling"
    DECODING = "decoding"
    SPOKEN = "spoken"
    REREADING = "rereading"
    ENDING = "ending"


@dataclass(slots=True)
class Turn:
    """`tokens` is prompt and answer so far; the first `position` of them are in the runtime's cache, the first
    `kept` of them in the blocks of `chain`. `marks` are further positions worth coming back to, such as the end of a
    system prompt; `stated` is where a state was last kept or restored.

    Rounding to few bits turns the last digit of a float into a step, and that digit depends on how many tokens are
    computed together. So that a prefix has the same blocks whoever computes them, the pieces are always the same:
    `answers` (where earlier answers begin and end in the prompt) cut a prefill as their turns were cut, and an answer,
    once spoken token by token, is read again in one piece before it is kept. A preempted turn speaks its answer so far
    again: the runtime is fed what is known, until `position` has caught up with `tokens`.

    What is `only_read` says nothing: its tokens are read to the last, and kept for a turn that is to come.

    `deadline` is a time on the engine's clock. A turn that is not `stored` leaves nothing behind: no block, no open
    cache, no word in the book of its `agent`. A piece that was begun and put down, so that others may speak, is
    `in_hand` up to that position.
    """

    id: TurnId
    root: BlockHash
    tokens: list[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    stop_tokens: frozenset[int] = frozenset()
    phase: Phase = Phase.WAITING
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    position: int = 0
    finish: FinishReason | None = None
    chain: list[CacheBlock] = field(default_factory=list)
    marks: tuple[int, ...] = ()
    answers: tuple[tuple[int, int], ...] = ()
    deadline: float | None = None
    agent: AgentName | None = None
    stored: bool = True
    only_read: bool = False
    in_hand: int | None = None
    stated: int | None = None

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.tokens)

    @property
    def owner(self) -> AgentName | BlockHash:
        """Whose turn it is, as far as it is known: the agent's, or some caller's of this tenant."""
        return self.agent or self.root

    @property
    def tip(self) -> BlockHash:
        return self.chain[-1].hash if self.chain else self.root

    @property
    def kept(self) -> int:
        return self.chain[-1].end if self.chain else 0

    @property
    def generated(self) -> int:
        return len(self.tokens) - self.prompt_tokens

    @property
    def read(self) -> int:
        """How many tokens were computed as a reader computes them, and so may be kept."""
        return min(self.position, self.prompt_tokens - 1) if self.speaking else self.position

    @property
    def speaking(self) -> bool:
        return self.phase in (Phase.DECODING, Phase.SPOKEN)

    @property
    def rereads(self) -> int:
        """How many tokens there are to read once it has spoken: all but the one that only says stop."""
        if self.finish not in ("stop", "length"):
            return self.prompt_tokens
        return len(self.tokens) - (self.tokens[-1] in self.stop_tokens)

    @property
    def reads_to(self) -> int:
        """Where reading ends for now: before the prompt's last token, which is fed to hear the answer, or with it."""
        return self.rereads if self.phase is Phase.REREADING else self.matches_to

    @property
    def matches_to(self) -> int:
        """How many tokens of the prompt may be known: the model has to read one to say the next."""
        return self.prompt_tokens if self.only_read else self.prompt_tokens - 1

    def next_stop(self, chunk: int, end: int, halts: Iterable[int] = ()) -> int:
        """Where the piece of prefill ends that begins at `position`: at a multiple of `chunk`, where it was cut, or at
        one of `halts`.
        """
        # The token before an answer is read with it: it was the first that was fed to hear it.
        cuts = (*halts, *(cut for start, end in self.answers for cut in (start - 1, end)), self.matches_to)
        grid = (self.position // chunk + 1) * chunk
        return min((cut for cut in (*cuts, grid, end) if cut > self.position), default=end)

    def unsaved(self, block_tokens: int, *, partial: bool) -> list[CacheBlock]:
        """The whole blocks, and perhaps the partial last one, that are computed and not yet kept."""
        if not self.stored:
            return []
        blocks, parent, start = [], self.tip, self.kept
        while start < self.read:
            stop = min(start + block_tokens, self.read)
            if stop - start < block_tokens and not partial:
                break
            block = CacheBlock.after(parent, start, pack(self.tokens[start:stop]))
            blocks.append(block)
            parent, start = block.hash, stop
        return blocks

    def passed(self, block_tokens: int) -> list[CacheBlock]:
        """The last blocks of the prefixes at which earlier turns of this conversation were taken up: all but the one
        before the newest question, which may yet be put otherwise.
        """
        ends = [cut for start, end in self.answers for cut in (start - 1, end)][:-1]
        tips = []
        for end in ends:
            number = (end - 1) // block_tokens
            if 0 < end <= self.kept and end not in self.marks:
                parent = self.chain[number - 1].hash if number else self.root
                start = number * block_tokens
                tips.append(CacheBlock.after(parent, start, pack(self.tokens[start:end])))
        return tips

    def take(self, token: int) -> None:
        """Append what the model said, and end where it ends the answer."""
        self.tokens.append(token)
        if token in self.stop_tokens:
            self.end("stop")
        elif self.generated >= self.max_tokens:
            self.end("length")

    def shorten(self, generated: int) -> None:
        """The answer is its first so many tokens."""
        del self.tokens[self.prompt_tokens + generated :]
        self.position = min(self.position, len(self.tokens))

    def end(self, reason: FinishReason) -> None:
        self.finish = reason
        self.put_away()

    def put_away(self) -> None:
        """No more is said in this run; what was spoken has to be rewound."""
        self.phase = Phase.SPOKEN if self.speaking and self.stored else Phase.ENDING

    @property
    def repeating(self) -> bool:
        """Whether what the model just said is known already."""
        return self.position < len(self.tokens)

    def requeue(self) -> None:
        """Start over from what is kept."""
        self.phase = Phase.WAITING
        self.position = 0
        self.in_hand = None
        self.stated = None
        self.chain.clear()
