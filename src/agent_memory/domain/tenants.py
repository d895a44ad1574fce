"""Whose everything is: a tenant's memories, agents, blocks and keys are nobody else's to see, count, time or meet.

What a tenant is to people - a customer, a team, a stage of a deployment - is not known here.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from agent_memory.domain.errors import Forbidden, InvalidInput

DEFAULT_TENANT = "default"
LONGEST_TENANT = 64

_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{LONGEST_TENANT - 1}}}", re.ASCII)


def check_tenant(name: str, field: str = "tenant") -> str:
    """The name, if it is one: nothing that two people could read as the same, and nothing we name ourselves."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shape = f"1 to {LONGEST_TENANT} of a-z, 0-9, '.', '_' and '-', a letter or digit first"
        raise InvalidInput(field, f"must be {shape}, is {str(name)[:80]!r}")
    return name


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a caller gets: into one tenant, and there perhaps to one agent or one user only."""

    tenant: str = DEFAULT_TENANT
    agent_id: str | None = None
    user_id: str | None = None

    @property
    def owner(self) -> str:
        """Names whoever has this reach: what is kept by this name alone is found by the same reach only."""
        if self.agent_id is None and self.user_id is None:
            return self.tenant
        return "/".join((self.tenant, *(quote(each or "", safe="") for each in (self.agent_id, self.user_id))))

    def agent(self, asked: str | None) -> str | None:
        """The agent that is asked for, or the only one there is for this caller. Raises Forbidden for another."""
        return _within("agent", self.agent_id, asked)

    def user(self, asked: str | None) -> str | None:
        """As `agent`, of users."""
        return _within("user", self.user_id, asked)


EVERYTHING = Reach()
"""The default tenant's, who is the operator: what concerns all tenants together is theirs to ask and do."""


def _within(kind: str, only: str | None, asked: str | None) -> str | None:
    if only is not None and asked not in {None, only}:
        raise Forbidden(f"this key is for the {kind} {only!r} only")
    return asked if only is None else only
