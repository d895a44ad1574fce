"""Agents on the toy model: what they hold, and everything that can be asked of them."""

import io

import pytest
from toy_desk import ToyDesk

from agent_memory.application import pins, whereabouts
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound, Overloaded
from agent_memory.domain.kv import agents
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Turn, TurnId

ADA, BOB = AgentName("t", "ada"), AgentName("t", "bob")


def text(length, seed=0):
    return [(n * 7 + n // 5 + seed) % 3 for n in range(length)]


@pytest.fixture
def desk():
    return ToyDesk()


async def exported(desk, name=ADA):
    return io.BytesIO(b"".join([piece async for piece in desk.agents.export(name)]))


async def test_a_turn_makes_its_agent_known(desk):
    _, nothing = desk.ask(text(30), "ada")
    desk.later(minutes=5)
    _, cached = desk.ask(text(30), "ada")
    agent = (await desk.agents.get(ADA)).agent
    assert (nothing, cached) == (0, 29)
    assert (agent.turns, agent.hits, agent.prompt_tokens, agent.cached_tokens) == (2, 1, 60, 29)
    assert agent.generated_tokens == 8
    assert agent.tokens >= 33
    assert (agent.last_used - agent.created).total_seconds() == 300


async def test_without_a_name_the_prefix_alone_does_the_work(desk):
    desk.ask(text(30), "ada")
    assert desk.ask(text(30))[1] == 29
    assert len(desk.holdings) == 1


async def test_it_is_known_where_the_blocks_are(desk):
    desk.ask(text(30), "ada")
    both = (await desk.agents.get(ADA)).holding
    assert both.blocks == both.memory_blocks == both.disk_blocks == both.both_blocks >= 8
    assert both.memory_bytes == both.disk_bytes == both.own_bytes > 0
    cool = (await desk.agents.cool(ADA)).holding
    assert (cool.memory_blocks, cool.memory_bytes) == (0, 0)
    assert (cool.disk_blocks, cool.blocks, cool.own_bytes) == (both.blocks, both.blocks, both.own_bytes)
    assert cool.restorable == both.restorable == (await desk.agents.get(ADA)).agent.tokens


async def test_warming_brings_it_all_into_memory(desk):
    desk.ask(text(30), "ada")
    cool = await desk.agents.cool(ADA)
    warmth = await desk.agents.warm(ADA)
    assert warmth.parts == cool.holding.disk_blocks
    assert warmth.nbytes == warmth.held.holding.memory_bytes == cool.holding.disk_bytes
    assert (await desk.agents.warm(ADA)).parts == 0


async def test_warming_what_does_not_fit_is_refused():
    desk = ToyDesk(capacity=2000)
    desk.ask(text(30), "ada", count=2)
    await desk.agents.cool(ADA)
    desk.ledger.reserve("others", 1900)
    with pytest.raises(Conflict, match=r"0\.0 MB are to come into memory, where there is no room for them"):
        await desk.agents.warm(ADA)


async def test_what_two_have_in_common_is_shared(desk):
    desk.ask(text(20) + [0] * 10, "ada")
    desk.ask(text(20) + [1] * 10, "bob")
    ada, bob = await desk.agents.get(ADA), await desk.agents.get(BOB)
    assert ada.holding.shared_bytes == bob.holding.shared_bytes == 20 * 8
    assert ada.holding.own_bytes == ada.holding.disk_bytes - 20 * 8


async def test_a_fork_costs_no_bytes_and_goes_on_alone(desk):
    desk.ask(text(30), "ada")
    before = desk.disk_bytes(), desk.ledger.pool.used
    fork = await desk.agents.fork(ADA, BOB)
    assert (desk.disk_bytes(), desk.ledger.pool.used) == before
    assert (fork.agent.forked_from, fork.holding.own_bytes) == ("ada", 0)
    answer, cached = desk.ask([*text(30), 2, 2, 1], "bob")
    assert cached >= 28
    assert answer == ToyDesk().ask([*text(30), 2, 2, 1])[0]
    assert (await desk.agents.get(ADA)).agent.turns == 1


async def test_a_fork_needs_a_name_that_is_free(desk):
    desk.ask(text(9), "ada")
    desk.ask(text(9), "bob")
    with pytest.raises(Conflict, match="'bob'"):
        await desk.agents.fork(ADA, BOB)
    with pytest.raises(NotFound):
        await desk.agents.fork(AgentName("t", "eve"), AgentName("t", "new"))


async def test_one_that_expires_at_once_is_made_and_pinned_all_the_same(desk):
    made = await desk.agents.create(ADA, 1e-9, pinned=True)
    assert made.agent.pinned


async def test_removing_takes_the_blocks_that_nobody_else_needs(desk):
    desk.ask(text(20) + [0] * 10, "ada")
    desk.ask(text(20) + [1] * 10, "bob")
    desk.ask(text(40, 1))
    blocks = (await desk.agents.get(ADA)).holding.blocks
    removal = await desk.agents.remove(ADA)
    assert removal.blocks == blocks - 5
    assert desk.ask(text(20) + [1] * 10, "bob")[1] == 29
    assert desk.ask(text(40, 1))[1] == 39
    with pytest.raises(NotFound, match="'ada'"):
        await desk.agents.get(ADA)


async def test_removing_leaves_nothing_in_any_tier(desk):
    desk.ask(text(30), "ada")
    desk.ask(text(50, 2), "ada")
    await desk.agents.remove(ADA)
    assert (desk.disk_bytes(), len(desk.ledger.pool), len(desk.ledger.index)) == (0, 0, 0)
    assert desk.runtime.open_turns == frozenset()
    assert list(desk.agent_store.load()) == []


async def test_removing_keeps_what_a_conversation_without_a_name_goes_on_from(desk):
    desk.ask(text(32), "ada", count=1)
    desk.ask([*text(32), *text(20, 1)])
    await desk.agents.remove(ADA)
    assert desk.ask([*text(32), *text(20, 1)])[1] == 51


async def test_an_agent_that_speaks_is_not_removed(desk):
    desk.submit(text(30), "ada", count=50)
    for _ in range(20):
        desk.engine.step()
    assert desk.holdings.speaking(ADA)
    desk.holdings.create(ADA)
    with pytest.raises(Conflict, match="in the middle of a turn"):
        desk.holdings.remove(ADA)


async def test_a_turn_that_is_not_stored_leaves_nothing(desk):
    expected, _ = desk.ask(text(30), "ada")
    before = list(desk.agent_store.load()), desk.disk_bytes(), set(desk.ledger.pool), len(desk.ledger.index)
    answer, cached = desk.ask(text(30), "ada", stored=False)
    assert (answer, cached) == (expected, 29)
    desk.ask(text(60, 1), "bob", stored=False)
    after = list(desk.agent_store.load()), desk.disk_bytes(), set(desk.ledger.pool), len(desk.ledger.index)
    assert after == before
    assert desk.ask(text(60, 1))[1] == 0


async def test_a_pinned_agent_survives_a_thousand_turns_of_others():
    desk = ToyDesk(capacity=6_000, disk=4_000)
    desk.ask(text(80), "ada")
    pinned = await desk.agents.pin(ADA)
    for seed in range(1000):
        desk.ask([seed % 3, seed // 3 % 3, seed // 9 % 3, seed // 27 % 3, seed // 81 % 3, seed // 243, *text(60, seed)])
    held = await desk.agents.get(ADA)
    assert held.holding == pinned.holding
    assert held.holding.both_blocks == held.holding.blocks
    assert desk.ask(text(80), "ada")[1] == 79


async def test_without_a_pin_it_would_not(desk):
    desk = ToyDesk(capacity=6_000, disk=4_000)
    desk.ask(text(80), "ada")
    for seed in range(100):
        desk.ask([seed % 3, seed // 3 % 3, seed // 9 % 3, seed // 27 % 3, 1, 2, *text(60, seed)])
    assert (await desk.agents.get(ADA)).holding.blocks == 0


async def test_a_pinned_agent_that_goes_on_stays_pinned_whole():
    desk = ToyDesk(capacity=12_000, disk=8_000)
    desk.ask(text(40), "ada")
    await desk.agents.pin(ADA)
    desk.ask(text(100), "ada")
    for seed in range(200):
        desk.ask([seed % 3, seed // 3 % 3, seed // 9 % 3, seed // 27 % 3, seed // 81 % 3, *text(60, seed)])
    assert desk.ask(text(100), "ada")[1] == 99


async def test_a_pin_that_exceeds_the_budget_is_refused_with_the_numbers():
    desk = ToyDesk(capacity=20_000, disk=600)
    desk.ask(text(60), "ada", count=1)
    told = r"'ada' cannot be pinned: .* 0.0 MB of your tenant's are pinned, and 0.0 MB may be"
    with pytest.raises(Conflict, match=told):
        await desk.agents.pin(ADA)
    assert not (await desk.agents.get(ADA)).agent.pinned
    assert desk.holdings.pins.nbytes == 0


async def test_unpinned_it_goes_in_its_turn():
    desk = ToyDesk(capacity=6_000, disk=4_000)
    desk.ask(text(80), "ada")
    await desk.agents.pin(ADA)
    assert desk.holdings.pins.nbytes > 0
    await desk.agents.unpin(ADA)
    assert desk.holdings.pins.nbytes == 0
    for seed in range(100):
        desk.ask([seed % 3, seed // 3 % 3, seed // 9 % 3, seed // 27 % 3, 1, 2, *text(60, seed)])
    assert (await desk.agents.get(ADA)).holding.blocks == 0


@pytest.mark.parametrize("length", [150, 170])
async def test_a_pin_takes_no_room_from_its_own_agent(length):
    desk = ToyDesk(capacity=4_000)
    desk.ask(text(length), "ada")
    await desk.agents.pin(ADA)
    assert desk.ask(text(length + 10), "ada")[1] == length
    assert desk.ask(text(length + 20), "ada")[1] >= length + 10
    with pytest.raises(Overloaded, match="the pinned agents leave too little"):
        desk.submit(text(190, 1))


async def test_a_fork_keeps_what_its_original_leaves_behind():
    desk = ToyDesk(window=6)
    for length in (30, 50, 70):
        desk.ask(text(length), "ada")
    await desk.agents.fork(ADA, BOB)
    held = (await desk.agents.get(BOB)).holding.restorable
    for length in (90, 110, 130, 150):
        desk.ask(text(length), "ada")
    assert (await desk.agents.get(BOB)).holding.restorable == held
    assert desk.ask(text(71), "bob")[1] == 70


async def test_what_a_disk_could_not_take_is_written_when_its_agent_comes_back():
    desk = ToyDesk()
    put, desk.store.put = desk.store.put, lambda *_: (_ for _ in ()).throw(OSError("no disk"))
    desk.ask(text(40), "ada")
    assert (await desk.agents.get(ADA)).holding.disk_blocks == 0
    desk.store.put = put
    desk.ask(text(60), "ada")
    again = ToyDesk(store=desk.store, agents=desk.agent_store, runtime=desk.runtime)
    assert again.ask(text(60), "ada")[1] == 59


async def test_a_turn_that_pins_leave_no_room_for_is_told_so():
    desk = ToyDesk(capacity=6_000)
    desk.ask(text(80), "ada")
    await desk.agents.pin(ADA)
    with pytest.raises(Overloaded, match="0 MB of KV cache, of 0 MB; the pinned agents leave too little"):
        desk.submit(text(330, 1))


@pytest.mark.parametrize("verb", ["pin", "warm"])
async def test_a_refusal_does_not_tell_what_other_tenants_hold(verb, monkeypatch):
    """To the byte: whoever has no room left hears the same however much the others pinned or use."""
    monkeypatch.setattr(pins, "mb", str)
    monkeypatch.setattr(whereabouts, "mb", str)
    told = set()
    for tokens in (150, 200):
        desk = ToyDesk(capacity=4000, disk=4000)
        desk.ask(text(120), "ada")
        await desk.agents.cool(ADA)
        desk.ask(text(tokens, 1), "big", tenant="other")
        await desk.agents.pin(AgentName("other", "big"))
        if verb == "warm":
            desk.ledger.reserve("others", desk.ledger.room - tokens)
        with pytest.raises(Conflict) as refusal:
            await getattr(desk.agents, verb)(ADA)
        told.add(str(refusal.value))
    assert len(told) == 1, told


async def test_an_expired_agent_goes_with_its_blocks(desk):
    desk.ask(text(30), "ada")
    await desk.agents.limit(ADA, 60)
    desk.later(seconds=59)
    assert (await desk.agents.get(ADA)).agent.ttl.total_seconds() == 60
    desk.later(seconds=1)
    assert await desk.agents.expire() == 1
    assert (desk.disk_bytes(), len(desk.ledger.pool)) == (0, 0)


async def test_its_time_does_not_run_out_during_its_own_turn(desk):
    desk.ask(text(30), "ada")
    await desk.agents.pin(ADA)
    await desk.agents.limit(ADA, 60)
    desk.later(seconds=50)
    desk.submit(text(50), "ada")
    for _ in range(3):
        desk.engine.step()
    desk.later(seconds=20)
    assert desk.holdings.expire() == 0
    desk.settle()
    agent = (await desk.agents.get(ADA)).agent
    assert (agent.pinned, agent.ttl.total_seconds(), agent.turns) == (True, 60, 2)
    desk.later(seconds=59)
    assert desk.holdings.expire() == 0
    desk.later(seconds=2)
    assert desk.holdings.expire() == 1


async def test_whose_time_is_over_begins_anew(desk):
    desk.ask(text(30), "ada")
    await desk.agents.limit(ADA, 60)
    desk.later(seconds=61)
    assert desk.ask(text(30), "ada")[1] == 0
    agent = (await desk.agents.get(ADA)).agent
    assert (agent.ttl, agent.turns) == (None, 1)


async def test_what_is_read_ahead_for_an_agent_that_is_gone_is_not_kept(desk):
    desk.ask(text(30), "ada")
    root = desk.engine.namespace("t").root
    desk.engine.rehearse(Turn(TurnId("ahead"), root, text(60), 0, only_read=True, agent=ADA))
    desk.holdings.remove(ADA)
    desk.settle()
    assert (desk.disk_bytes(), len(desk.ledger.pool)) == (0, 0)


async def test_expired_is_not_there_though_nobody_has_swept_yet(desk):
    desk.ask(text(30), "ada")
    await desk.agents.limit(ADA, 60)
    desk.later(seconds=61)
    with pytest.raises(NotFound):
        await desk.agents.get(ADA)
    assert (await desk.agents.list("t")).agents == ()
    await desk.agents.create(ADA)


async def test_using_an_agent_renews_its_time(desk):
    desk.ask(text(30), "ada")
    await desk.agents.limit(ADA, 60)
    desk.later(seconds=50)
    desk.ask(text(30), "ada")
    desk.later(seconds=50)
    assert (await desk.agents.get(ADA)).agent.turns == 2


async def test_an_agent_can_be_made_before_its_first_turn(desk):
    made = await desk.agents.create(ADA, 90, pinned=True)
    assert (made.agent.pinned, made.agent.tokens) == (True, 0)
    with pytest.raises(Conflict, match="already"):
        await desk.agents.create(ADA)
    desk.ask(text(30), "ada")
    assert (await desk.agents.get(ADA)).agent.ttl.total_seconds() == 90


async def test_lists_go_page_by_page_within_the_tenant(desk):
    for number in range(5):
        await desk.agents.create(AgentName("t", f"a{number}/é"))
    await desk.agents.create(AgentName("other", "a9"))
    seen, cursor = [], None
    while True:
        page = await desk.agents.list("t", cursor, 2)
        seen += [held.agent.name.id for held in page.agents]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"a{number}/é" for number in range(5)]
    with pytest.raises(InvalidInput, match="cursor"):
        await desk.agents.list("t", "é")


async def test_another_tenants_agent_is_not_there(desk):
    desk.ask(text(30), "ada", tenant="other")
    for verb in (desk.agents.get, desk.agents.pin, desk.agents.warm, desk.agents.remove, desk.agents.cool):
        with pytest.raises(NotFound):
            await verb(ADA)
    with pytest.raises(NotFound):
        await exported(desk)


async def test_a_tenant_of_many_agents_costs_nobody_else_theirs(desk, monkeypatch):
    monkeypatch.setattr(agents, "MAX_AGENTS", 4)
    desk.ask(text(30), "ada")
    for number in range(8):
        await desk.agents.create(AgentName("other", f"{number}"), pinned=True)
    assert (await desk.agents.get(ADA)).agent.turns == 1
    assert [held.agent.name.id for held in (await desk.agents.list("other")).agents] == ["5", "6", "7"]
    assert {agent.name for agent in desk.agent_store.load()} == {agent.name for agent in desk.holdings._book}


async def test_the_next_process_knows_them(desk):
    desk.ask(text(30), "ada")
    await desk.agents.pin(ADA)
    told = await desk.agents.get(ADA)
    again = ToyDesk(store=desk.store, agents=desk.agent_store)
    back = await again.agents.get(ADA)
    assert back.agent == told.agent
    assert (back.holding.disk_blocks, back.holding.memory_blocks) == (told.holding.disk_blocks, 0)
    assert again.holdings.pins.nbytes > 0


@pytest.mark.parametrize("window", [0, 6])
@pytest.mark.parametrize("tenant", ["t", "other"])
async def test_what_was_exported_answers_the_same_elsewhere(window, tenant):
    here, there = ToyDesk(window=window), ToyDesk(window=window)
    here.ask(text(30), "ada")
    grown = [*text(30), *here.ask(text(30), "ada")[0], 1, 2, 0]
    expected, cached = here.ask(grown, "ada")
    file = await exported(here)
    arrival = await there.agents.load(file, tenant, "eve")
    assert (arrival.parts, arrival.known) == (len(here.holdings.parts(ADA)), 0)
    assert arrival.held.agent.name == AgentName(tenant, "eve")
    answer, back = there.ask(grown, "eve", tenant=tenant)
    assert answer == expected
    assert back >= cached > 20
    if tenant == "t":
        assert there.ask(grown, tenant="someone else")[1] == 0


async def test_all_conversations_of_an_agent_travel():
    here, there = ToyDesk(), ToyDesk()
    here.ask([0, *text(30)], "ada")
    here.ask([1, *text(50)], "ada")
    arrival = await there.agents.load(await exported(here), "t")
    assert arrival.held.holding.restorable == arrival.held.agent.tokens == (await here.agents.get(ADA)).agent.tokens
    assert there.ask([0, *text(30)])[1] == 30
    assert there.ask([1, *text(50)])[1] == 50


async def test_what_lies_here_already_is_not_written_again(desk):
    desk.ask(text(30), "ada")
    file, before = await exported(desk), desk.disk_bytes()
    arrival = await desk.agents.load(file, "t", "eve")
    assert arrival.known == arrival.parts > 0
    assert desk.disk_bytes() == before


async def test_an_import_does_not_take_a_name_that_is_taken(desk):
    desk.ask(text(30), "ada")
    with pytest.raises(Conflict, match="'ada'"):
        await desk.agents.load(await exported(desk), "t")


async def test_another_models_file_is_refused(desk):
    desk.ask(text(30), "ada")
    file = await exported(desk)
    with pytest.raises(Conflict, match="another model"):
        await ToyDesk(weights="other").agents.load(file, "t")
    with pytest.raises(Conflict, match="another cache geometry"):
        await ToyDesk(window=6).agents.load(file, "t")


async def test_an_agent_without_blocks_has_nothing_to_export(desk):
    await desk.agents.create(ADA)
    with pytest.raises(Conflict, match="nothing to export"):
        await exported(desk)


async def test_an_import_that_is_too_large_is_refused_and_leaves_nothing(desk):
    desk.ask(text(300), "ada")
    file = await exported(desk)
    small = ToyDesk(disk=1000)
    with pytest.raises(Conflict, match="the disk budget is"):
        await small.agents.load(file, "t")
    assert small.disk_bytes() == 0


async def test_an_import_whose_blocks_cannot_be_written_leaves_nothing(desk, monkeypatch):
    desk.ask(text(60), "ada")
    file = await exported(desk)
    there, puts = ToyDesk(), []

    def fail_the_fifth(*part):
        puts.append(part)
        if len(puts) == 5:
            raise OSError("disk full")
        return type(there.store).put(there.store, *part)

    monkeypatch.setattr(there.store, "put", fail_the_fifth)
    from agent_memory.domain.errors import Unavailable

    with pytest.raises(Unavailable, match=r"1 of .* parts could not be written"):
        await there.agents.load(file, "t")
    there.settle()
    assert (there.disk_bytes(), len(there.holdings)) == (0, 0)


async def test_clearing_empties_every_tier_of_every_tenant(desk):
    desk.ask(text(30), "ada")
    desk.ask(text(40, 1), tenant="other")
    await desk.agents.pin(ADA)
    blocks = len(desk.ledger.index)
    assert await desk.ask_holdings(lambda holdings: holdings.clear()) == (1, blocks)
    assert (desk.disk_bytes(), len(desk.ledger.pool), len(desk.ledger.index), len(desk.holdings)) == (0, 0, 0, 0)


async def test_divergent_conversations_of_one_agent_are_all_its_own(desk):
    desk.ask([0, *text(30)], "ada")
    desk.ask([1, *text(30)], "ada")
    held = await desk.agents.get(ADA)
    assert held.holding.blocks >= 16
    assert held.holding.restorable == held.agent.tokens
    await desk.agents.remove(ADA)
    assert desk.disk_bytes() == 0
