"""Which PostgreSQL and which pgvector will do, and in which encoding.

An older pgvector would go unnoticed: it takes `hnsw.iterative_scan` for a setting of somebody else's, and a search of a
large scope under a filter finds too little.
"""

import re
from dataclasses import dataclass
from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.domain.errors import Misconfigured

_SERVER = 15
_PGVECTOR = (0, 8)
_FOUND: LiteralString = """
SELECT current_setting('server_version'), current_setting('server_version_num')::integer,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
       (SELECT default_version FROM pg_available_extensions WHERE name = 'vector')
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Of pgvector: the version that the database has, and the one that the server would give it."""

    server: str
    number: int
    installed: str | None
    offered: str | None


async def require(connection: AsyncConnection) -> None:
    """Changes nothing. Raises Misconfigured."""
    # Told without a statement, whose answers would be bytes of some encodings.
    if told := unfit(connection.info.parameter_status("server_encoding")):
        raise Misconfigured(told)
    [row] = await (await connection.execute(_FOUND)).fetchall()
    if told := lacking(Found(*row)):
        raise Misconfigured(told)


def unfit(encoding: str | None) -> str | None:
    """Why not every memory could be written in it; None where it can, or nobody tells."""
    if encoding in {"UTF8", None}:
        return None
    return (
        f"a database of the encoding UTF8 is needed, and this one has {encoding}: make one with "
        "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and set DATABASE_URL to it"
    )


def lacking(found: Found) -> str | None:
    """What is too old, and what to do; None where all will do."""
    if found.number < _SERVER * 10_000:
        return f"PostgreSQL {_SERVER} or later is needed, and this one is {found.server}: set DATABASE_URL to another"
    if _will_do(found.installed or found.offered):
        return None
    needed = "pgvector 0.8 or later is needed, and this"
    if found.installed is None:
        offers = f"offers {found.offered}" if found.offered else "has none"
        return f"{needed} server {offers}: install 0.8 or later on it"
    if _will_do(found.offered):
        return (
            f"{needed} database has {found.installed}: the server has {found.offered}, "
            "so let the extension's owner run ALTER EXTENSION vector UPDATE in it"
        )
    return f"{needed} database has {found.installed}: install a newer one, then run ALTER EXTENSION vector UPDATE in it"


def _will_do(version: str | None) -> bool:
    numbers = re.match(r"\d+(\.\d+)*", version or "")
    return numbers is not None and tuple(int(number) for number in numbers[0].split(".")) >= _PGVECTOR
