from datetime import UTC, datetime
from uuid import uuid4

import pytest

from agent_memory.application.consolidation import ExtractiveCondenser
from agent_memory.application.model_condensing import ModelCondenser
from agent_memory.application.replies import Delta, Finish
from agent_memory.domain.errors import Overloaded
from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope

NOTES = [
    "Ana moved to Oslo on 3 May 2024.",
    "So it is that Ana has paid 1,200 for it.",
    "On 3 May 2024 Ana was in Oslo.",
]


class Says:
    """A conversation that answers with one text, or breaks."""

    def __init__(self, text="", reason="stop", error=None) -> None:
        self.text, self.reason, self.error, self.prompts = text, reason, error, []

    async def reply(self, prompt):
        self.prompts.append(prompt)
        if self.error:
            raise self.error
        yield Delta(self.text)
        yield Finish(self.reason, 1, 0, 1)


def memories():
    return [
        Memory(MemoryId(uuid4()), Scope("a", "u"), note, datetime(2026, 1, day, tzinfo=UTC))
        for day, note in enumerate(NOTES, 1)
    ]


async def condensed(says) -> str:
    return await ModelCondenser(says, ExtractiveCondenser()).condense(memories())


async def test_what_keeps_every_fact_is_taken():
    says = Says("Ana paid 1,200 and moved to Oslo on 3 May 2024.")
    assert await condensed(says) == says.text
    assert all(note in says.prompts[0].messages[0].content for note in NOTES)
    assert says.prompts[0].sampling.temperature == 0


@pytest.mark.parametrize(
    "says",
    [
        Says("Ana moved to Oslo on 3 May 2024."),  # a number is lost
        Says("Ana paid 1,200 and moved to Rome on 3 May 2024."),  # a name is lost, another made up
        Says("Ana paid 1,200 and moved to Oslo on 3 May 2024 with Bob."),  # one is made up
        Says("Ana never paid 1,200 and moved to Oslo on 3 May 2024."),  # it denies what was said
        Says("Ana paid 1,200 and moved to Oslo on 3 May 2024.", reason="length"),
        Says("x" * 200),
        Says(""),
        Says(error=Overloaded("busy", 1)),
    ],
)
async def test_otherwise_sentences_are_chosen(says):
    assert await condensed(says) == await ExtractiveCondenser().condense(memories())
