"""Which texts are read next. Who asks for one text, as a search does, does not wait until all that others bring by the
hundred is read, nor for one that is as long as many; nor do these wait for ever. It does not know how texts are read.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, str]
"""A tenant and its text: how long a text takes tells nobody what another has embedded."""

_Line: TypeAlias = OrderedDict[Place, None]

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
        self._alone = _Line()
        self._many = _Line()
        self._long = _Line()  # alone, but each as much as many
        self._reading_many = 0
        self._turn = 0
        self._long_is_next = False
        self._came_alone = -_QUIET

    def add(self, place: Place, *, alone: bool) -> None:
        """One that does not wait yet."""
        if not alone:
            self._many[place] = None
        elif len(place[1]) > _MOMENT:
            self._long[place] = None
        else:
            self._alone[place] = None
            self._came_alone = time.monotonic()

    def drop(self, place: Place) -> bool:
        """False: it does not wait any more, for it is being read."""
        for line in (self._alone, self._many, self._long):
            if place in line:
                del line[place]
                return True
        return False

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
    def _much(self) -> _Line:
        """Who asks for one long text has every other turn of those that many have."""
        return self._long if self._long and (self._long_is_next or not self._many) else self._many

    @property
    def _reserved(self) -> bool:
        """Whether the lane that is left is for whoever comes alone."""
        last = self._lanes > 1 and self._reading_many >= self._lanes - 1
        return last and time.monotonic() - self._came_alone < _QUIET

    def _share(self, line: _Line) -> list[Place]:
        share = min(max(-(-len(line) // self._lanes), _WORTH_A_LANE), _BATCH)
        places = [_first_of(line)]
        characters = len(places[0][1])
        while line and len(places) < share and (characters := characters + len(next(iter(line))[1])) <= _MOMENT:
            places.append(_first_of(line))
        return places


def _first_of(line: _Line) -> Place:
    return line.popitem(last=False)[0]


def _enough(line: _Line, *, first: bool) -> bool:
    return len(line) >= (1 if first else _WORTH_A_LANE)
