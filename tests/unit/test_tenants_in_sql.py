"""No statement forgets whose the rows are: all the SQL of the adapters is read."""

import ast
import re
from pathlib import Path

import agent_memory.adapters.postgres as room

# What is of all tenants by its purpose, by a piece of its text: chores, and figures of which no row is told.
EVERYBODYS = {
    "agent_memory.memories WHERE expires_at <= %(now)s LIMIT": "what has expired goes, everywhere",
    "SET superseded_at = %(now)s\nWHERE (id, tenant) IN": "what has faded is marked, everywhere",
    "GROUP BY tenant, agent_id, user_id) AS s": "how large the largest scope is, for the indexes",
    "GROUP BY embedding_dimension": "which vectors there are, for the indexes",
    "ORDER BY embedding_model, embedding_dimension LIMIT 1": "whether there are vectors of another model",
    "embedding_dimension = %(of)s AND id {after}": "which memories get new vectors",
    "ANALYZE agent_memory.memories": "the planner's statistics",
    "SELECT reltuples": "about how many rows there are in all",
    "CREATE INDEX CONCURRENTLY": "an index",
    "INSERT INTO agent_memory.answers": "names the tenant in its columns",
    "agent_memory.answers SET answer": "by the request's key, in which the tenant is",
    "agent_memory.answers WHERE key": "by the request's key, in which the tenant is",
    "agent_memory.answers WHERE claimed_at": "the keys of yesterday go, everywhere",
}
OF_TENANTS = re.compile(r"agent_memory\.(memories|memory_versions|reinforcements|answers)\b")
NAMED = re.compile(
    r"tenant = |m\.tenant = |\{scope\}|\{held\}|WHERE \{\}|AND \{\} AND|tenant,|WHERE id = %s AND tenant"
)


def statements() -> list[str]:
    found = []
    for file in sorted(Path(room.__file__).parent.glob("*.py")):
        texts = (node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant))
        found += [text for text in texts if isinstance(text, str) and OF_TENANTS.search(text)]
    return found


def test_every_statement_names_the_tenant_or_is_known_to_be_everybodys():
    assert len(statements()) > 25
    forgotten = [sql for sql in statements() if not NAMED.search(sql) and not any(each in sql for each in EVERYBODYS)]
    assert forgotten == []


def test_what_is_said_to_be_everybodys_is_there():
    assert [each for each in EVERYBODYS if not any(each in sql for sql in statements())] == []


def test_each_table_of_a_statement_is_narrowed_where_rows_are_picked():
    """As often as rows are read by id alone, so often is the tenant named beside it."""
    for sql in statements():
        by_id = len(re.findall(r"\bid = %\(id\)s", sql))
        assert by_id <= len(re.findall(r"tenant = %\(tenant\)s|\{\}|\{scope\}", sql)), sql
