-- One row per key: whoever updates it waits for the others, so the count is exact. Not logged: after a crash of
-- the database everybody starts with an empty window, and a call costs no write to disk.
CREATE UNLOGGED TABLE agent_memory.rate_limits (
    key text PRIMARY KEY,
    passed timestamptz[] NOT NULL,
    admitted boolean NOT NULL,
    asked_at timestamptz NOT NULL
);
