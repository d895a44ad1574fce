-- Everything of ours lives in a schema of our own: the database may be shared with others.
CREATE TABLE agent_memory.memories (
    id uuid PRIMARY KEY,
    agent_id text NOT NULL,
    user_id text NOT NULL,
    content text NOT NULL,
    memory_type text NOT NULL CHECK (memory_type IN ('episodic', 'semantic', 'procedural')),
    importance real NOT NULL CHECK (importance BETWEEN 0 AND 2),
    created_at timestamptz NOT NULL,
    -- Without a dimension of its own: rows of an older model stay beside those of the current one.
    embedding halfvec NOT NULL,
    embedding_model text NOT NULL,
    embedding_dimension integer GENERATED ALWAYS AS (vector_dims(embedding)) STORED,
    -- The searchable words as hashes, sorted, each as often as it occurs: length and counts are in it.
    words integer[] NOT NULL
);

-- A scan of one scope reads its vectors: they stay in the row even when a long content moves out of it.
ALTER TABLE agent_memory.memories ALTER COLUMN embedding SET STORAGE MAIN;

CREATE INDEX memories_by_scope ON agent_memory.memories (agent_id, user_id, created_at, id);
