"""Whose memories a caller may speak of is fixed by the address, and then by nothing else."""

import pytest
from litestar.exceptions import NotFoundException

from agent_memory.domain.errors import Forbidden, InvalidInput
from agent_memory.domain.keys import Caller
from agent_memory.domain.tenants import EVERYTHING, Reach
from agent_memory.entrypoints.http.given import CALLER
from agent_memory.entrypoints.mcp.scope import Whose, whose_of

ANYBODY = Caller()


def whose(path, query="", caller=ANYBODY):
    return whose_of(
        {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [],
            "state": {CALLER: caller},
        }
    )


@pytest.mark.parametrize(
    ("path", "query", "fixed"),
    [
        ("/mcp", "", {}),
        ("/mcp/", "", {}),
        ("/mcp/guide", "", {"agent_id": "guide"}),
        ("/mcp/guide/ada", "", {"agent_id": "guide", "user_id": "ada"}),
        ("/mcp/guide/ada/", "", {"agent_id": "guide", "user_id": "ada"}),
        ("/mcp/a%2Fb/ada%40example.org", "", {"agent_id": "a/b", "user_id": "ada@example.org"}),
        ("/mcp/%C3%A9", "", {"agent_id": "é"}),
        ("/mcp", "user_id=ada", {"user_id": "ada"}),
        ("/mcp", "agent_id=..&user_id=a%20b", {"agent_id": "..", "user_id": "a b"}),
        ("/mcp/guide", "agent_id=guide&user_id=ada", {"agent_id": "guide", "user_id": "ada"}),
    ],
)
def test_an_address_fixes_whom_it_names(path, query, fixed):
    assert whose(path, query).fixed == fixed


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/mcp/%FF", "", "path"),
        ("/mcp/a%00b", "", "agent_id"),
        ("/mcp/guide/" + "x" * 129, "", "user_id"),
        ("/mcp//ada", "", "agent_id"),
        ("/mcp", "user_id=", "user_id"),
        ("/mcp", "user_id=%FF", "user_id"),
        ("/mcp/guide", "agent_id=other", "agent_id"),
    ],
)
def test_an_address_that_cannot_be_is_refused_by_the_name_of_its_part(path, query, field):
    with pytest.raises(InvalidInput) as refused:
        whose(path, query)
    assert refused.value.field == field


@pytest.mark.parametrize("path", ["/mcpfoo", "/mcp/a/b/c"])
def test_there_are_no_other_addresses(path):
    with pytest.raises(NotFoundException):
        whose(path)


def test_a_key_fixes_what_it_is_for():
    of_ada = Caller(Reach("acme", user_id="ada"), "key")
    assert whose("/mcp", caller=of_ada).fixed == {"user_id": "ada"}
    assert whose("/mcp/guide", caller=of_ada).fixed == {"agent_id": "guide", "user_id": "ada"}
    assert whose("/mcp/guide", caller=of_ada).reach.tenant == "acme"
    with pytest.raises(Forbidden):
        whose("/mcp/guide/bob", caller=of_ada)


def test_who_sits_at_this_machine_reaches_all_of_the_default_tenant():
    assert Whose().reach == EVERYTHING


def test_what_is_fixed_is_put_in():
    assert Whose(agent_id="guide").completed({"user_id": "ada"}) == {"agent_id": "guide", "user_id": "ada"}


def test_an_argument_never_wins_over_what_is_fixed():
    with pytest.raises(InvalidInput) as refused:
        Whose(agent_id="guide", user_id="ada").completed({"user_id": "bob"})
    assert refused.value.field == "user_id"
