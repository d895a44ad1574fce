"""Rows of one scope, with what a search has measured of them, as candidates; each is made a memory only if it is asked
for.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from agent_memory.adapters.postgres.rows import IN_SCOPE_WIDTH, memory_in, moment_in, real
from agent_memory.domain.semantic.cues import Said
from agent_memory.domain.semantic.memory import Scope
from agent_memory.domain.semantic.recall import Candidate

MEASURED_WIDTH = IN_SCOPE_WIDTH + 5
"""Columns that `candidate_in` reads; what else a statement tells of a row follows."""
NO_WORDS: Mapping[str, int] = MappingProxyType({})


def candidate_in(scope: Scope, position: int, row: tuple[Any, ...], words: dict[int, str]) -> Candidate:
    """Of a row that goes on, after `IN_SCOPE`, with its similarity, its words as hashes if any of them is searched for,
    how many words it has, whether it is eligible, and whether its vector was compared.
    """
    id_, content, _, _, importance = row[:5]
    similarity, said, length, eligible, compared = row[IN_SCOPE_WIDTH:MEASURED_WIDTH]
    counts = _counted(said, words) if said else NO_WORDS
    whole = partial(memory_in, scope, row)
    told = id_, moment_in(row), real(importance), Said(content), whole
    return Candidate(*told, position, similarity, lambda _: counts, length, eligible, compared)


def _counted(said: list[int], words: dict[int, str]) -> Mapping[str, int]:
    """How often each of the searched words occurs."""
    counts: dict[str, int] = {}
    for word in said:
        if word in words:
            name = words[word]
            counts[name] = counts.get(name, 0) + 1
    return counts
