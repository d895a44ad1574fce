"""Who may pass: the limits of each kind of call, for a key and for an agent alike."""

from collections.abc import Mapping

from agent_memory.domain.errors import RateLimited
from agent_memory.domain.limits import Admission, Limit
from agent_memory.ports.limits import RateLimiter

WRITES, SEARCHES = "writes", "searches"


class Gate:
    """A kind of call that has no limit passes freely; so an empty mapping switches all of this off."""

    def __init__(self, limiter: RateLimiter, limits: Mapping[str, Limit]) -> None:
        self._limiter = limiter
        self._limits = limits

    def limit_of(self, kind: str) -> Limit | None:
        return self._limits.get(kind)

    async def admit(self, kind: str, *callers: str) -> Admission | None:
        """Let a call pass for all who stand for it (a key, an agent), or raise `RateLimited`.

        Answers for the caller with the fewest places left; None where there is no limit.
        """
        limit = self._limits.get(kind)
        if limit is None or not callers:
            return None
        admissions = await self._limiter.admit([f"{kind} {caller}" for caller in callers], limit)
        for caller, admission in zip(callers, admissions, strict=True):
            if not admission.admitted:
                raise RateLimited(
                    f"{limit.calls} {kind} in {limit.window.total_seconds():g} s are the limit of {caller!r}: "
                    f"the next may pass in {admission.free_in:.1f} s",
                    admission.free_in,
                )
        return min(admissions, key=lambda admission: admission.remaining)

    async def purge(self) -> int:
        """Forget who has not asked for longer than any window."""
        if not self._limits:
            return 0
        return await self._limiter.purge(max(self._limits.values(), key=lambda limit: limit.window))
