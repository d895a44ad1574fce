-- What a memory may carry, how long it holds, and what it used to say.
ALTER TABLE agent_memory.memories
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN superseded_by uuid,
    ADD COLUMN superseded_at timestamptz;

CREATE INDEX memories_by_expiry ON agent_memory.memories (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE agent_memory.memory_versions (
    memory_id uuid NOT NULL REFERENCES agent_memory.memories (id) ON DELETE CASCADE,
    version integer NOT NULL,
    content text NOT NULL,
    memory_type text NOT NULL,
    importance real NOT NULL,
    tags text[] NOT NULL,
    metadata jsonb NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (memory_id, version)
);
