"""Agents and caches on the wire. An unknown field is an error."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, UnsetType

from agent_memory.application.agents import AgentPage, Arrival, Warmth
from agent_memory.application.holdings import Held, Overview
from agent_memory.application.upkeep import Collection, Verdict
from agent_memory.application.whereabouts import Tier
from agent_memory.entrypoints.http.whole_names import segment_of
from agent_memory.entrypoints.http.wire.openai import CacheReport, ChatMessage, FunctionTool

AgentId = Annotated[str, Meta(min_length=1, max_length=256)]
Seconds = Annotated[float, Meta(gt=0, le=315_360_000)]


class NewAgent(Struct, forbid_unknown_fields=True, kw_only=True):
    """Without an id it gets one. It goes `ttl_seconds` after its last use; null: it stays."""

    agent_id: AgentId | None = None
    ttl_seconds: Seconds | None = None
    pinned: bool = False


class TimeToLive(Struct, forbid_unknown_fields=True, kw_only=True):
    ttl_seconds: Seconds | None


class Fork(Struct, forbid_unknown_fields=True, kw_only=True):
    """Without an id it gets one."""

    agent_id: AgentId | None = None


class GenerateRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    prompt: Annotated[str, Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1, le=65_536)] = 256
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    no_store: bool = False


class GenerateAnswer(Struct, kw_only=True):
    text: str
    tokens_generated: int
    finish_reason: Literal["stop", "length", "tool_calls"]
    cached_tokens: int
    cache_size_tokens: int


class TierAnswer(Struct, kw_only=True):
    blocks: int
    bytes: int


class HoldingAnswer(Struct, kw_only=True):
    """Where the agent's blocks are. `own_bytes` are nobody else's; `restorable_tokens` of its last turn need no reading
    by the model that is loaded; null without one.
    """

    blocks: int
    restorable_tokens: int | None
    memory: TierAnswer
    disk: TierAnswer
    both_blocks: int
    own_bytes: int
    shared_bytes: int


class AgentAnswer(Struct, kw_only=True):
    """`status` is hot with blocks in memory, cold with blocks on disk only, empty without any. `cache_size_tokens` is
    how long its last conversation was.
    """

    agent_id: str
    href: str
    status: Literal["hot", "cold", "empty"]
    cache_size_tokens: int
    created_at: datetime
    last_used_at: datetime
    turns: int
    hits: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    pinned: bool
    ttl_seconds: float | None
    expires_at: datetime | None
    forked_from: str | None
    cache: HoldingAnswer


class AgentsAnswer(Struct, kw_only=True):
    agents: list[AgentAnswer]
    next_cursor: str | None


class WarmAnswer(Struct, kw_only=True):
    """How much came from disk into memory."""

    agent: AgentAnswer
    parts: int
    bytes: int


class ArrivalAnswer(Struct, kw_only=True):
    """`known_parts` lay here already."""

    agent: AgentAnswer
    parts: int
    known_parts: int
    bytes: int


class BudgetAnswer(Struct, kw_only=True):
    """`parts` of blocks; with a window or a state, a block has two."""

    parts: int
    bytes: int
    budget_bytes: int


class CachesAnswer(Struct, kw_only=True):
    """`fingerprint` and `spec` are what a bundle must be of to be taken in. In memory, running turns count too; on
    disk, the bytes are those of every model. What is of all tenants together is null for all but the default one.
    """

    model: str
    fingerprint: str
    spec: str
    agents: int
    pinned_bytes: int | None
    memory: BudgetAnswer | None
    disk: BudgetAnswer | None


class DamagedFile(Struct, kw_only=True):
    file: str
    reason: str


class VerifyAnswer(Struct, kw_only=True):
    """Every block file, read to the last bit."""

    files: int
    bytes: int
    damaged: list[DamagedFile]


class CollectAnswer(Struct, kw_only=True):
    """What was removed: expired agents, blocks that no chain leads to, files that had been put aside as damaged."""

    agents: int
    blocks: int
    files: int
    bytes: int


class ExplainAnswer(Struct, kw_only=True):
    prompt_tokens: int
    cached_tokens: int
    x_cache: CacheReport | UnsetType


class ExplainRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    tools: list[FunctionTool] | None = None


def from_held(held: Held) -> AgentAnswer:
    agent, holding = held.agent, held.holding
    status: Literal["hot", "cold", "empty"] = "cold" if holding.blocks else "empty"
    return AgentAnswer(
        agent_id=agent.name.id,
        href=f"/v1/agents/{segment_of(agent.name.id)}",
        status="hot" if holding.memory_blocks else status,
        cache_size_tokens=agent.tokens,
        created_at=agent.created,
        last_used_at=agent.last_used,
        turns=agent.turns,
        hits=agent.hits,
        prompt_tokens=agent.prompt_tokens,
        cached_tokens=agent.cached_tokens,
        generated_tokens=agent.generated_tokens,
        pinned=agent.pinned,
        ttl_seconds=None if agent.ttl is None else agent.ttl.total_seconds(),
        expires_at=agent.expires,
        forked_from=agent.forked_from,
        cache=HoldingAnswer(
            blocks=holding.blocks,
            restorable_tokens=holding.restorable,
            memory=TierAnswer(blocks=holding.memory_blocks, bytes=holding.memory_bytes),
            disk=TierAnswer(blocks=holding.disk_blocks, bytes=holding.disk_bytes),
            both_blocks=holding.both_blocks,
            own_bytes=holding.own_bytes,
            shared_bytes=holding.shared_bytes,
        ),
    )


def from_overview(model: str, told: Overview, *, whole: bool) -> CachesAnswer:
    memory, disk = told.memory, told.disk
    return CachesAnswer(
        model=model,
        fingerprint=told.origin.model,
        spec=told.origin.spec,
        agents=told.agents,
        pinned_bytes=told.pinned_bytes if whole else None,
        memory=_budget(memory) if whole else None,
        disk=_budget(disk) if whole else None,
    )


def _budget(tier: Tier) -> BudgetAnswer:
    return BudgetAnswer(parts=tier.parts, bytes=tier.used, budget_bytes=tier.budget)


def from_page(page: AgentPage) -> AgentsAnswer:
    return AgentsAnswer(agents=[from_held(held) for held in page.agents], next_cursor=page.cursor)


def from_verdict(verdict: Verdict) -> VerifyAnswer:
    damaged = [DamagedFile(file=each.file, reason=each.fault or "") for each in verdict.damaged]
    return VerifyAnswer(files=verdict.files, bytes=verdict.nbytes, damaged=damaged)


def from_collection(told: Collection) -> CollectAnswer:
    return CollectAnswer(agents=told.agents, blocks=told.blocks, files=told.swept.files, bytes=told.swept.nbytes)


def from_warmth(warmth: Warmth) -> WarmAnswer:
    return WarmAnswer(agent=from_held(warmth.held), parts=warmth.parts, bytes=warmth.nbytes)


def from_arrival(arrival: Arrival) -> ArrivalAnswer:
    return ArrivalAnswer(
        agent=from_held(arrival.held), parts=arrival.parts, known_parts=arrival.known, bytes=arrival.nbytes
    )
