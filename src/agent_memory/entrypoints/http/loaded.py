"""The model that a request names: the one that is loaded, or none."""

from agent_memory.application.conversation import Conversation
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import NotFound


def conversation_with(name: str, application: Application, *, family: str | None = None) -> Conversation:
    """`default` is whatever is loaded, and so is any name of this `family`. Raises Unavailable and NotFound."""
    conversation = application.models.ready()
    if name not in ("default", conversation.model_id) and not (family and name.startswith(family)):
        raise NotFound("model", name)
    return conversation
