"""Ends an answer's text at the first of its stop strings, wherever the tokens' borders fall."""

from collections.abc import Sequence


class StopText:
    """Text that may be the beginning of a stop string is held back until it is certain."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped_by: str | None = None

    @property
    def stopped(self) -> bool:
        return self.stopped_by is not None

    def add(self, text: str) -> str:
        """What may be shown now. Once `stopped`, nothing more."""
        text = self._held + text
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            first, self.stopped_by = min(found)
            self._held = ""
            return text[:first]
        hold = max((self._overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]

    def finish(self) -> str:
        """The answer is over: what was held back was no stop string."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, text: str, stop: str) -> int:
        """The length of the longest end of `text` that a stop string begins with."""
        return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
