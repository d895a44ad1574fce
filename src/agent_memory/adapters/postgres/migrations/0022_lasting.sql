-- Which scopes have too much, and what is oldest in them, is asked of what lasts alone: the index of all that is episodic
-- could not tell without reading each memory.
-- Dropping comes first, as it takes the strongest lock: making an index takes a weaker one, and to ask for more with that
-- in hand is a deadlock with any server that has read memories in its transaction and then writes.
DROP INDEX agent_memory.memories_episodic;
CREATE INDEX memories_lasting ON agent_memory.memories (tenant, agent_id, user_id, moment, id)
    WHERE memory_type = 'episodic' AND superseded_at IS NULL AND expires_at IS NULL
        AND condensing IS DISTINCT FROM 'restored';
