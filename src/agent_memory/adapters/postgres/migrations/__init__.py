"""The numbered steps of the schema, each taken once, whichever of many servers comes first."""

from importlib.resources import files

from psycopg import AsyncConnection

from agent_memory.domain.errors import Misconfigured

# Any number will do, as long as every version of this package uses the same.
_LOCK = 0x6D656D6F7279


async def migrate(connection: AsyncConnection) -> None:
    """Bring the schema to this package's version; wait for others who are doing the same. Raises Misconfigured where a
    later package has been.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        # Who may make no schema is refused even if it is there.
        [[missing]] = await (await connection.execute("SELECT to_regnamespace('agent_memory') IS NULL")).fetchall()
        if missing:
            await connection.execute("CREATE SCHEMA agent_memory")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS agent_memory.schema_versions "
            "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await (await connection.execute("SELECT version FROM agent_memory.schema_versions")).fetchall()
        known = {version for (version,) in rows}
        steps = _steps()
        newest, ours = max(known, default=0), steps[-1][0]
        if newest > ours:
            raise Misconfigured(
                f"the database has schema {newest}, and this agent_memory knows no later one than {ours}: "
                "run the version that was there last, or a later one"
            )
        for version, name, sql in steps:
            if version not in known:
                await connection.execute(sql)
                await connection.execute(
                    "INSERT INTO agent_memory.schema_versions (version, name) VALUES (%s, %s)",
                    [version, name],
                )


def _steps() -> list[tuple[int, str, str]]:
    """The files beside this one, in order of their numbers."""
    found = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(file.name[:4]), file.name[5:-4], file.read_text()) for file in found]
