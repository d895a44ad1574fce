-- How many of a scope no longer hold, or will not for ever, without reading a memory: those that do are counted by it.
CREATE INDEX memories_ended ON agent_memory.memories (tenant, agent_id, user_id, superseded_at, expires_at)
    WHERE superseded_at IS NOT NULL OR expires_at IS NOT NULL;
