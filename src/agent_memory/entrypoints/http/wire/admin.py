"""Administration on the wire."""

from typing import Annotated

from msgspec import Meta, Struct

from agent_memory.application.model_slot import Swap

Timeout = Annotated[float, Meta(ge=1, le=300)]


class SwapRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """`model_id`: a hub id, a folder on the server, or a profile's name. Running answers may take so long to end."""

    model_id: Annotated[str, Meta(min_length=1)]
    timeout_seconds: Timeout = 30.0


class OffloadRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    timeout_seconds: Timeout = 30.0


class SwapAnswer(Struct, kw_only=True):
    old_model_id: str | None
    new_model_id: str | None
    seconds: float


class CurrentModel(Struct, kw_only=True):
    """Null when none is loaded."""

    model_id: str | None
    about: str


class KnownModel(Struct, kw_only=True):
    model_id: str
    about: str
    loaded: bool


class KnownModels(Struct, kw_only=True):
    """Those with a profile; others can be swapped in too."""

    models: list[KnownModel]


class ClearAnswer(Struct, kw_only=True):
    agents: int
    blocks: int


def from_swap(swap: Swap) -> SwapAnswer:
    return SwapAnswer(old_model_id=swap.before, new_model_id=swap.after, seconds=round(swap.seconds, 3))
