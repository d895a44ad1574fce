-- When it happened, where that is not when it was kept; what orders memories by time is the one or the other.
ALTER TABLE agent_memory.memories
    ADD COLUMN event_time timestamptz,
    ADD COLUMN moment timestamptz GENERATED ALWAYS AS (coalesce(event_time, created_at)) STORED;
ALTER TABLE agent_memory.memory_versions ADD COLUMN event_time timestamptz;

DROP INDEX agent_memory.memories_by_scope;
CREATE INDEX memories_by_scope ON agent_memory.memories (agent_id, user_id, moment, id);
DROP INDEX agent_memory.memories_episodic;
CREATE INDEX memories_episodic ON agent_memory.memories (agent_id, user_id, moment, id)
    WHERE memory_type = 'episodic' AND superseded_at IS NULL;
