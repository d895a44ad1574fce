-- Who may come in, and how far. Of a secret there is the SHA-256 of its 256 random bits.
CREATE TABLE agent_memory.api_keys (
    id text PRIMARY KEY,
    digest bytea NOT NULL,
    tenant text NOT NULL,
    agent_id text,
    user_id text,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
