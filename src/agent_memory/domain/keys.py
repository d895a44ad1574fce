"""API keys: what one looks like, who holds it, and what of it may be written down.

A key is `am_`, a name of 16 hexadecimal digits, `_`, and a secret of 256 random bits. The name finds it and may be
shown; of the secret only the SHA-256 is kept. That is enough: what makes a password need a slow hash is that it can be
guessed, and 256 random bits cannot, however fast the guesses are.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import NewType

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import check_moment, check_text
from agent_memory.domain.semantic.memory import check_who
from agent_memory.domain.tenants import EVERYTHING, Reach, check_tenant

KeyId = NewType("KeyId", str)

PREFIX = "am_"
LONGEST_LABEL = 128

_SHAPE = re.compile(rf"{PREFIX}([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """All that is kept of a key. `label` is for people."""

    id: KeyId
    digest: bytes = field(repr=False)
    reach: Reach
    created_at: datetime
    label: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        check_tenant(self.reach.tenant)
        if self.reach.agent_id is not None:
            check_who(self.reach.agent_id)
        if self.reach.user_id is not None:
            check_text("user_id", self.reach.user_id, LONGEST_LABEL)
        if self.label:
            check_text("name", self.label, LONGEST_LABEL)
        if self.expires_at is not None:
            check_moment("expires_at", self.expires_at)
            if self.expires_at <= self.created_at:
                raise InvalidInput("expires_at", f"must be in the future, is {self.expires_at.isoformat()}")

    def holds(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def opens(self, secret: str) -> bool:
        """Whether this is the key's secret; it takes equally long whatever is asked."""
        return compare_digest(self.digest, digest_of(secret))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. `id` tells callers apart: a key's name; of who needs none a digest of what it showed, or None
    where it showed nothing.
    """

    reach: Reach = EVERYTHING
    id: str | None = None


def text_of(key_id: KeyId, secret: str) -> str:
    """What the holder is given, once."""
    return f"{PREFIX}{key_id}_{secret}"


def parts_of(text: str) -> tuple[KeyId, str] | None:
    """The name and the secret, or None for what is no key of ours."""
    match = _SHAPE.fullmatch(text)
    return (KeyId(match[1]), match[2]) if match else None


def anybody(shown: str) -> Caller:
    """Who needs no key, whatever it shows: a client that was made for another server always shows something."""
    return Caller(id=f"shown-{sha256(shown.encode()).hexdigest()[:16]}" if shown else None)


def digest_of(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
