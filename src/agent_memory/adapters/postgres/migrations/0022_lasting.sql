-- Which scopes have too much, and what is oldest in them, is asked of what lasts alone: the index of all that is episodic
-- could not tell without reading each memory.
CREATE INDEX memories_lasting ON agent_memory.memories (tenant, agent_id, user_id, moment, id)
    WHERE memory_type = 'episodic' AND superseded_at IS NULL AND expires_at IS NULL
        AND condensing IS DISTINCT FROM 'restored';
DROP INDEX agent_memory.memories_episodic;
