"""No statement forgets whose the rows are: all the SQL of the adapters is read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import agent_memory.adapters.postgres as room
from agent_memory.adapters.postgres.large_scope import HELD
from agent_memory.adapters.postgres.rows import IN_SCOPE_OF

# What is of all tenants by its purpose, by a piece of its text: chores, and figures of which no row is told.
EVERYBODYS = {
    "agent_memory.memories WHERE expires_at <= %(now)s LIMIT": "what has expired goes, everywhere",
    "SET superseded_at = %(now)s\nWHERE (id, tenant) IN": "what has faded is marked, everywhere",
    "SELECT agent_id, user_id, tenant FROM agent_memory.memories\nWHERE {lasting}": "which scopes are too large",
    "GROUP BY tenant, agent_id, user_id) AS s": "how large the largest scope is, for the indexes",
    "GROUP BY embedding_dimension": "which vectors there are, for the indexes",
    "ORDER BY embedding_model, embedding_dimension LIMIT 1": "whether there are vectors of another model",
    "embedding_dimension = %(of)s AND id {after}": "which memories get new vectors",
    "ANALYZE agent_memory.memories": "the planner's statistics",
    "SELECT reltuples": "about how many rows there are in all",
    "CREATE INDEX CONCURRENTLY": "an index",
    ") AS by_distance\nWHERE {scope}": "an index gives the nearest of all, of which the scope is asked around it",
    "agent_memory.answers AS a, unnest(": "by the request's key, in which the tenant is",
    "agent_memory.answers WHERE key": "by the request's key, in which the tenant is",
    "agent_memory.answers WHERE claimed_at": "the keys of yesterday go, everywhere",
}
TABLE = r"agent_memory\.(?:memories|memory_versions|reinforcements|answers)\b"
READ = re.compile(r"(?<!INSERT INTO )" + TABLE)
WRITTEN = re.compile(r"INSERT INTO " + TABLE + r"(?: AS \w+)?\s*\(([^)]*)\)")
TENANT = re.compile(r"\btenant = (?::tenant|%s|\w+\.tenant)|\{scope\}")
HOLDS_IN_SCOPE = {"large_scope.py", "weighed_scope.py"}  # where `{held}` is `HELD` of the scope


class Statement(NamedTuple):
    file: str
    sql: str


def read() -> Iterator[Statement]:
    for file in sorted(Path(room.__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text())
        known = {"IN_SCOPE_OF": IN_SCOPE_OF} | dict(_texts(tree))
        given = dict(_formats(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(TABLE, node.value):
                yield Statement(file.name, _filled(node.value, given.get(node), known))


def _texts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.target, ast.Name)
        ):
            yield node.target.id, str(node.value.value)


def _formats(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.Call]]:
    """Which text is put into form by which call."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name("SQL"), args=[text]), attr="format")):
                yield text, node


def _filled(sql: str, form: ast.Call | None, known: dict[str, str]) -> str:
    """With what stands in the place of each `{}`; what has a name is checked by its name."""
    for part in form.args if form else ():
        source = ast.unparse(part)
        sql = sql.replace("{}", known.get(source.removeprefix("SQL(").removesuffix(")"), source), 1)
    return sql


def parts(sql: str) -> list[str]:
    """What stands within each pair of parentheses, without what those within it have: every query by itself."""
    done, within = [], [""]
    for piece in re.split(r"([()])", re.sub(r"%\((\w+)\)s", r":\1", sql)):
        match piece:
            case "(":
                within.append("")
            case ")":
                done.append(within.pop())
            case _:
                within[-1] += piece
    return done + within


STATEMENTS = list(read())
NARROWED = [each for each in STATEMENTS if not any(piece in each.sql for piece in EVERYBODYS)]


@pytest.mark.parametrize("statement", NARROWED, ids=lambda each: f"{each.file}-{each.sql.strip()[:40]}")
def test_every_table_that_is_read_is_narrowed_to_the_tenant_where_it_is_read(statement):
    tenant = re.compile(TENANT.pattern + r"|\{held\}") if statement.file in HOLDS_IN_SCOPE else TENANT
    for part in parts(statement.sql):
        assert len(READ.findall(part)) <= len(tenant.findall(part)), part


def test_what_is_written_names_the_tenant():
    written = [columns for _, sql in STATEMENTS for columns in WRITTEN.findall(sql)]
    assert len(written) == sum(sql.count("INSERT INTO agent_memory.") for _, sql in STATEMENTS) == 4
    assert all("tenant" in re.split(r",\s*", columns) for columns in written)


def test_what_is_said_to_be_everybodys_is_there():
    assert [each for each in EVERYBODYS if not any(each in sql for _, sql in STATEMENTS)] == []
    assert len(STATEMENTS) > 50


def test_a_scope_names_its_tenant_wherever_it_is_asked():
    assert IN_SCOPE_OF.split(" AND ")[0] == "tenant = %(tenant)s"
    assert HELD.as_string().startswith("{} AND {}")
    sources = "\n".join(file.read_text() for file in Path(room.__file__).parent.glob("*.py"))
    for named in (r"\bscope=(SQL.*?\))", r"\bHELD\.format\((SQL.*?\))"):
        assert set(re.findall(named, sources)) == {"SQL(IN_SCOPE_OF)"}
