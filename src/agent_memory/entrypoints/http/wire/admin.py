"""Administration on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent_memory.application.draining import Draining
from agent_memory.application.model_slot import Swap
from agent_memory.domain.keys import LONGEST_LABEL, ApiKey
from agent_memory.domain.tenants import DEFAULT_TENANT, LONGEST_TENANT, Reach

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


class NewKey(Struct, forbid_unknown_fields=True, kw_only=True):
    """For all of a tenant, or for one of its agents, or one user, only. `name` is for people; without `expires_at` it
    holds until it is revoked.
    """

    tenant: Annotated[str, Meta(min_length=1, max_length=LONGEST_TENANT)] = DEFAULT_TENANT
    agent_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_LABEL)] | None = None
    user_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_LABEL)] | None = None
    name: Annotated[str, Meta(max_length=LONGEST_LABEL)] = ""
    expires_at: datetime | None = None


class KeyAnswer(Struct, kw_only=True):
    """What is known of a key. It opens nothing."""

    key_id: str
    status: Literal["active", "expired", "revoked"]
    tenant: str
    agent_id: str | None
    user_id: str | None
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedKey(KeyAnswer, kw_only=True):
    """`key` is told this once."""

    key: str


class KeysAnswer(Struct, kw_only=True):
    keys: list[KeyAnswer]


class DrainRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """How long the answer may wait for what is running."""

    timeout_seconds: Annotated[float, Meta(ge=0, le=300)] = 30.0


class DrainAnswer(Struct, kw_only=True):
    """`running` requests have begun and not ended; `drained`: none has, and none will."""

    draining: bool
    running: int
    drained: bool


class ClearAnswer(Struct, kw_only=True):
    agents: int
    blocks: int


def from_swap(swap: Swap) -> SwapAnswer:
    return SwapAnswer(old_model_id=swap.before, new_model_id=swap.after, seconds=round(swap.seconds, 3))


def to_reach(asked: NewKey) -> Reach:
    return Reach(asked.tenant, asked.agent_id, asked.user_id)


def from_key(key: ApiKey, now: datetime) -> KeyAnswer:
    return KeyAnswer(**_told(key, now))


def from_new_key(key: ApiKey, text: str, now: datetime) -> CreatedKey:
    return CreatedKey(**_told(key, now), key=text)


def from_draining(draining: Draining) -> DrainAnswer:
    return DrainAnswer(draining=draining.asked, running=draining.running, drained=draining.drained)


def _told(key: ApiKey, now: datetime) -> dict[str, Any]:
    ended: Literal["expired", "revoked"] = "expired" if key.revoked_at is None else "revoked"
    return {
        "key_id": key.id,
        "status": "active" if key.holds(now) else ended,
        "tenant": key.reach.tenant,
        "agent_id": key.reach.agent_id,
        "user_id": key.reach.user_id,
        "name": key.label,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
