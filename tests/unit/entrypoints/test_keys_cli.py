"""Keys as a table: whatever else is told of one, its id stands whole, for `revoke` wants it."""

from datetime import UTC, datetime

from typer.testing import CliRunner

from agent_memory.entrypoints import keys_cli
from agent_memory.entrypoints.http.wire import admin as wire


def test_an_id_is_never_folded(monkeypatch):
    key = wire.KeyAnswer(
        key_id="4f0c1d2e3b5a6978",
        status="active",
        tenant="a-tenant-of-a-long-name",
        agent_id="guide",
        user_id="ada@example.org",
        name="for the chat of the second floor",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        revoked_at=None,
    )
    monkeypatch.setattr(keys_cli, "with_keys", lambda settings, ask: [key])
    told = CliRunner().invoke(keys_cli.keys, ["ls"], env={"COLUMNS": "80"})
    assert key.key_id in told.output
