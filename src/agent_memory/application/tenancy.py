"""Use cases that belong to one tenant: how to have the same for another, and what their callers may name."""

from copy import copy
from typing import Self

from agent_memory.domain.semantic.memory import Scope
from agent_memory.domain.tenants import EVERYTHING, Reach, check_tenant


class OfTenant:
    """Of the default tenant at first. What it keeps beside its reach is shared by all of them."""

    reach: Reach = EVERYTHING

    def within(self, reach: Reach) -> Self:
        """The same verbs for another caller. They can neither tell nor change anything beyond that reach."""
        check_tenant(reach.tenant)
        other = copy(self)
        other.reach = reach
        return other

    def scope(self, agent_id: str, user_id: str) -> Scope:
        """Raises Forbidden where the caller does not reach it."""
        scope = Scope(agent_id, user_id, self.reach.tenant)
        self.reach.agent(agent_id)
        self.reach.user(user_id)
        return scope
