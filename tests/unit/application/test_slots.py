"""Slots: how many of all, how many of one tenant, and given back however the work ends."""

from contextlib import ExitStack

import pytest

from agent_memory.application.slots import Slots
from agent_memory.domain.errors import Overloaded


def test_one_tenant_leaves_some_to_the_others():
    slots = Slots("imports", of_all=3, of_one=2)
    with ExitStack() as stack:
        for tenant in ("acme", "acme", "bolt"):
            stack.enter_context(slots.take(tenant))
        for tenant in ("acme", "bolt"):
            with pytest.raises(Overloaded, match="under way: 2 of a tenant, 3 in all") as refusal, slots.take(tenant):
                pass
            assert refusal.value.retry_after == 5
    with slots.take("acme"), slots.take("acme"):
        pass


def test_a_slot_is_free_again_when_the_work_fails():
    slots = Slots("imports", of_all=1, of_one=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="wrong"), slots.take("acme"):
            raise ValueError("wrong")
