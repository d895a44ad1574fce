"""How hard a model is asked to think, in OpenAI's dialects."""

from agent_memory.domain.errors import InvalidInput


def refuse_effort(field: str, effort: str | None, *, thinks: bool) -> None:
    """A model that cannot think cannot think hard. Raises InvalidInput."""
    if effort not in (None, "none") and not thinks:
        raise InvalidInput(field, "the model that is loaded does not think; leave it out")
