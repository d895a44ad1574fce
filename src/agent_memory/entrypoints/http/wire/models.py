"""The model list, in one shape that OpenAI's clients and Anthropic's both read."""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from agent_memory.application.conversation import Conversation


class Model(Struct, kw_only=True):
    """`created` and `created_at` are when it was loaded."""

    id: str
    created: int
    created_at: datetime
    display_name: str
    object: Literal["model"] = "model"
    type: Literal["model"] = "model"
    lifecycle: Literal["active"] = "active"
    owned_by: str = "agent-memory"


class ModelList(Struct, kw_only=True):
    """One page: there is one model at a time, or none."""

    data: list[Model]
    first_id: str | None
    last_id: str | None
    has_more: bool = False
    object: Literal["list"] = "list"


def from_conversation(loaded: Conversation) -> Model:
    created_at = datetime.fromtimestamp(loaded.created, UTC)
    return Model(id=loaded.model_id, created=loaded.created, created_at=created_at, display_name=loaded.model_id)


def from_conversations(loaded: Conversation | None) -> ModelList:
    models = [from_conversation(loaded)] if loaded else []
    name = models[0].id if models else None
    return ModelList(data=models, first_id=name, last_id=name)
