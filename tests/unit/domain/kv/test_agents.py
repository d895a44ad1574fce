"""Agents: their names, their blocks, and how many use each."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.errors import Conflict, InvalidInput, NotFound
from agent_memory.domain.kv import agents
from agent_memory.domain.kv.agents import MAX_BLOCKS, Agent, AgentBook, AgentName, Usage, checked_ttl
from agent_memory.domain.kv.block import BlockHash

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def agent(agent_id="ada", blocks="", *, tenant="t", **more):
    last_used = more.pop("last_used", NOW)
    return Agent(AgentName(tenant, agent_id), NOW, last_used, tuple(map(BlockHash, blocks)), **more)


def usage(chain, cached=0):
    return Usage(tuple(map(BlockHash, chain)), len(chain), 10, cached, 5)


STRANGE = ["a/b/../c", ".", "..", "\n", "東京 🗼", " "]


@pytest.mark.parametrize("agent_id", [*STRANGE, "x" * 256, "ada@example.org", "Ada"])
def test_any_text_is_a_name(agent_id):
    assert AgentName.of("t", agent_id).id == agent_id


@pytest.mark.parametrize(("agent_id", "told"), [("", "has 0"), ("x" * 257, "has 257"), ("\ud800", "surrogate")])
def test_what_is_no_name_is_refused_by_field(agent_id, told):
    with pytest.raises(InvalidInput, match=f"user: .*{told}"):
        AgentName.of("t", agent_id, "user")


def test_a_turn_adds_to_the_counts_and_puts_its_chain_first():
    one = agent(blocks="abx").used(usage("bc", cached=7), NOW + timedelta(1), existing="ab")
    assert one.blocks == tuple("bca")
    assert (one.turns, one.hits, one.prompt_tokens, one.cached_tokens, one.generated_tokens) == (1, 1, 10, 7, 5)
    assert one.last_used == NOW + timedelta(1)
    assert one.used(usage("c"), NOW, existing="abc").hits == 1


def test_a_fork_goes_on_from_the_same_blocks_with_counts_of_its_own():
    fork = agent(blocks="ab", turns=3, pinned=True, tokens=9).fork(AgentName("t", "eve"), NOW)
    assert (fork.blocks, fork.tokens, fork.forked_from) == (("a", "b"), 9, "ada")
    assert (fork.turns, fork.pinned) == (0, False)


def test_the_book_counts_who_uses_a_block():
    book = AgentBook([agent("ada", "ab"), agent("bob", "bc", pinned=True)])
    assert [book.users(BlockHash(block)) for block in "abcd"] == [1, 2, 1, 0]
    assert sorted(book.pins) == ["b", "c"]
    book.enter(agent("bob", "c"))
    assert (book.users(BlockHash("b")), book.pins) == (1, [])
    book.strike(AgentName("t", "bob"))
    book.strike(AgentName("t", "bob"))
    assert book.users(BlockHash("c")) == 0
    book.check()


def test_another_tenants_agent_is_not_found():
    book = AgentBook([agent("ada")])
    with pytest.raises(NotFound, match="no agent 'ada'"):
        book.get(AgentName("other", "ada"))
    book.refuse_known(AgentName("other", "ada"))
    with pytest.raises(Conflict, match="'ada'"):
        book.refuse_known(AgentName("t", "ada"))


def test_pages_go_by_id_and_never_beyond_the_tenant():
    book = AgentBook([agent(name) for name in "cab"] + [agent("d", tenant="other")])
    assert [each.name.id for each in book.page("t", None, 2)] == ["a", "b"]
    assert [each.name.id for each in book.page("t", "b", 2)] == ["c"]


def test_an_agent_expires_so_long_after_its_last_use():
    one = agent(ttl=checked_ttl(60))
    assert not one.expired(NOW + timedelta(seconds=59))
    assert one.expired(NOW + timedelta(seconds=60))
    assert AgentBook([one, agent("bob")]).expired(NOW + timedelta(days=1)) == [one]


@pytest.mark.parametrize("seconds", [0, -1, 1e12, float("nan"), float("inf")])
def test_a_ttl_that_cannot_be_lived_is_refused(seconds):
    with pytest.raises(InvalidInput, match="ttl_seconds"):
        checked_ttl(seconds)


def test_an_agent_of_many_conversations_refers_to_the_latest_blocks_only():
    many = [BlockHash(f"{number}") for number in range(MAX_BLOCKS)]
    one = Agent(AgentName("t", "app"), NOW, NOW, tuple(many)).used(usage("ab"), NOW, set(many))
    assert len(one.blocks) == MAX_BLOCKS
    assert one.blocks[:3] == ("a", "b", "0")


def pushed_out(book, newcomer):
    book.enter(newcomer)
    surplus = book.surplus(newcomer.name)
    return surplus and surplus.name


def test_names_without_number_push_out_the_longest_unused(monkeypatch):
    monkeypatch.setattr(agents, "MAX_AGENTS", 3)
    book = AgentBook([agent("old"), agent("kept", pinned=True), agent("new", last_used=NOW + timedelta(1))])
    assert book.surplus(AgentName("t", "new")) is None
    assert pushed_out(book, agent("newer")) == ("t", "old")
    assert pushed_out(book, agent("old")) == ("t", "new")


def test_the_pinned_are_pushed_out_when_there_are_no_others(monkeypatch):
    monkeypatch.setattr(agents, "MAX_AGENTS", 2)
    book = AgentBook([agent("a", pinned=True), agent("b", pinned=True)])
    assert pushed_out(book, agent("c", pinned=True)) == ("t", "a")


def test_a_tenant_with_many_pushes_out_its_own(monkeypatch):
    monkeypatch.setattr(agents, "MAX_AGENTS", 4)
    book = AgentBook([agent("quiet", tenant="small"), *(agent(name, tenant="big") for name in "abc")])
    assert pushed_out(book, agent("d", tenant="big")) == ("big", "a")
    book.strike(AgentName("big", "a"))
    assert pushed_out(book, agent("another", tenant="small")) == ("big", "b")


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcdefgh"), st.booleans()), max_size=40))
def test_nobody_within_an_even_share_is_pushed_out_by_others(entries):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agents, "MAX_AGENTS", 9)  # of three tenants
        book = AgentBook()
        for tenant, name, pinned in entries:
            before = {each: book.count(each) for each in "xyz"}
            book.enter(newcomer := agent(name, tenant=tenant, pinned=pinned))
            while (surplus := book.surplus(newcomer.name)) is not None:
                book.strike(surplus.name)
            assert len(book) <= 9
            assert book.find(newcomer.name) is newcomer
            assert all(book.count(each) >= min(before[each], 3) for each in "xyz" if each != tenant)
            book.check()


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.text("abcd", max_size=4), st.booleans(), st.booleans())))
def test_the_counts_always_balance(acts):
    book = AgentBook()
    for name, blocks, pinned, gone in acts:
        book.enter(agent(name, dict.fromkeys(blocks), pinned=pinned))
        if gone:
            book.strike(AgentName("t", name))
        book.check()
