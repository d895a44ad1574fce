"""Who waits to run, and whose turn it is next. Whether there is room for them is not known here."""

from collections import Counter, deque
from collections.abc import Iterable

from agent_memory.domain.errors import Overloaded
from agent_memory.domain.kv.turn import Turn, TurnId

MAX_LATER = 16


class Queue:
    """`most` wait. What is only read, `later`, runs when nobody else wants to."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.waiting: deque[Turn] = deque()
        self.later: deque[Turn] = deque(maxlen=MAX_LATER)

    def join(self, turn: Turn) -> None:
        """Raises Overloaded when it is full."""
        if len(self.waiting) >= self.most:
            raise Overloaded(f"{self.most} turns are waiting already", retry_after=5)
        self.waiting.append(turn)

    def leave(self, turn_id: TurnId) -> bool:
        """Whether it was waiting."""
        before = len(self.waiting)
        self.waiting = deque(turn for turn in self.waiting if turn.id != turn_id)
        return len(self.waiting) < before

    def begin(self, turn: Turn) -> None:
        """It waits no longer."""
        self._of(turn).remove(turn)

    def come_back(self, turn: Turn) -> None:
        """One that has begun waits again, before all others."""
        self._of(turn).appendleft(turn)

    def _of(self, turn: Turn) -> deque[Turn]:
        return self.later if turn.only_read else self.waiting

    def fair(self, running: Iterable[Turn]) -> list[Turn]:
        """All that wait: whoever runs least now is first, and of equals whoever came first."""
        turns = Counter(turn.owner for turn in running)
        return sorted(self.waiting, key=lambda turn: turns[turn.owner])

    def before(self, turn: Turn) -> Turn:
        """What is to be read before it and for it, or the turn itself."""
        return next((first for first in self.later if leads_to(first, turn)), turn)


def leads_to(rehearsal: Turn, turn: Turn) -> bool:
    """Whether all that is read for it is read for this turn too."""
    length = len(rehearsal.tokens)
    return rehearsal.root == turn.root and turn.tokens[:length] == rehearsal.tokens and length < turn.prompt_tokens
