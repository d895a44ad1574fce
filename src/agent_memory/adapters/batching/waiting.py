"""Which texts are read next. Who asks for one text, as a search does, does not wait until all that others bring by the
hundred is read, nor for one that is as long as many; nor do these wait for ever. It does not know how texts are read.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, str]
"""A tenant and its text: how long a text takes tells nobody what another has embedded."""

_BATCH = 32  # texts: larger batches gain nothing on a CPU and delay the first of them
_WORTH_A_LANE = 4  # texts
_MOMENT = 2000  # characters of a run, some 100 ms of a core: then whoever has come meanwhile has a turn
_TURNS = 5  # of so many runs one is of many texts, while others wait alone
_QUIET = 1.0  # seconds without a text that came alone: then many may take the last lane as well


@dataclass(frozen=True, slots=True)
class Run:
    places: list[Place]
    of_many: bool


class Waiting:
    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._alone: deque[Place] = deque()
        self._many: deque[Place] = deque()
        self._long: deque[Place] = deque()  # alone, but each as much as many
        self._reading_many = 0
        self._turn = 0
        self._long_is_next = False
        self._came_alone = -_QUIET

    def add(self, place: Place, *, alone: bool) -> None:
        if not alone:
            self._many.append(place)
        elif len(place[1]) > _MOMENT:
            self._long.append(place)
        else:
            self._alone.append(place)
            self._came_alone = time.monotonic()

    def is_worth_a_lane(self, busy: int) -> bool:
        """Whether another lane is to begin beside so many. A text costs half as much in a run of eight as by itself:
        half of the lanes begin with one, the others with a few.
        """
        if busy >= self._lanes:
            return False
        begun = busy - self._reading_many
        return _enough(self._alone, first=2 * begun < self._lanes) or (
            not self._reserved and _enough(self._much, first=2 * busy < self._lanes)
        )

    def take(self) -> Run | None:
        """What a lane reads next, a share of what waits, for cores gain more than batches; then `done` is due."""
        self._turn += 1
        alone_waits = bool(self._alone)
        if self._much and not self._reserved and (not alone_waits or self._turn % _TURNS == 0):
            self._reading_many += 1
            self._long_is_next = not self._long_is_next
            return Run(self._share(self._much), of_many=True)
        return Run(self._share(self._alone), of_many=False) if alone_waits else None

    def done(self, run: Run) -> None:
        self._reading_many -= run.of_many

    @property
    def _much(self) -> deque[Place]:
        """Who asks for one long text has every other turn of those that many have."""
        return self._long if self._long and (self._long_is_next or not self._many) else self._many

    @property
    def _reserved(self) -> bool:
        """Whether the lane that is left is for whoever comes alone."""
        last = self._lanes > 1 and self._reading_many >= self._lanes - 1
        return last and time.monotonic() - self._came_alone < _QUIET

    def _share(self, line: deque[Place]) -> list[Place]:
        share = min(max(-(-len(line) // self._lanes), _WORTH_A_LANE), _BATCH)
        places = [line.popleft()]
        characters = len(places[0][1])
        while line and len(places) < share and (characters := characters + len(line[0][1])) <= _MOMENT:
            places.append(line.popleft())
        return places


def _enough(line: deque[Place], *, first: bool) -> bool:
    return len(line) >= (1 if first else _WORTH_A_LANE)
