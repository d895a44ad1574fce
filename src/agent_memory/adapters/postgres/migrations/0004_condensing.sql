-- Which scopes have too much, and what is oldest in them, without reading a memory.
CREATE INDEX memories_episodic ON agent_memory.memories (agent_id, user_id, created_at, id)
    WHERE memory_type = 'episodic' AND superseded_at IS NULL;

-- What a memory stands for, to bring it back.
CREATE INDEX memories_by_successor ON agent_memory.memories (superseded_by) WHERE superseded_by IS NOT NULL;
