"""Requests that may be sent twice, and the one answer that both get."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """For which request a key is taken, by its digest; no answer: the request runs, or was cut off."""

    request: str
    answer: str | None = None
