-- Whose a memory is. What is there is the default tenant's; whoever writes from now on has to say.
ALTER TABLE agent_memory.memories ADD COLUMN tenant text NOT NULL DEFAULT 'default';
ALTER TABLE agent_memory.memories ALTER COLUMN tenant DROP DEFAULT;
ALTER TABLE agent_memory.memory_versions ADD COLUMN tenant text NOT NULL DEFAULT 'default';
ALTER TABLE agent_memory.memory_versions ALTER COLUMN tenant DROP DEFAULT;
ALTER TABLE agent_memory.answers ADD COLUMN tenant text NOT NULL DEFAULT 'default';
ALTER TABLE agent_memory.answers ALTER COLUMN tenant DROP DEFAULT;

-- An id is a tenant's own: that two use the same tells neither of the other.
ALTER TABLE agent_memory.memory_versions DROP CONSTRAINT memory_versions_memory_id_fkey;
ALTER TABLE agent_memory.memory_versions DROP CONSTRAINT memory_versions_pkey;
ALTER TABLE agent_memory.memories DROP CONSTRAINT memories_pkey;
ALTER TABLE agent_memory.memories ADD PRIMARY KEY (id, tenant);
ALTER TABLE agent_memory.memory_versions ADD PRIMARY KEY (memory_id, tenant, version);
ALTER TABLE agent_memory.memory_versions ADD FOREIGN KEY (memory_id, tenant)
    REFERENCES agent_memory.memories (id, tenant) ON DELETE CASCADE;

-- Every search is of one tenant, so each index of scopes begins with it.
DROP INDEX agent_memory.memories_by_scope;
CREATE INDEX memories_by_scope ON agent_memory.memories (tenant, agent_id, user_id, moment, id);
DROP INDEX agent_memory.memories_episodic;
CREATE INDEX memories_episodic ON agent_memory.memories (tenant, agent_id, user_id, moment, id)
    WHERE memory_type = 'episodic' AND superseded_at IS NULL;
DROP INDEX agent_memory.memories_by_content;
CREATE INDEX memories_by_content ON agent_memory.memories (tenant, agent_id, user_id, hashtextextended(content, 0));
DROP INDEX agent_memory.answers_by_user;
CREATE INDEX answers_by_user ON agent_memory.answers (tenant, user_id);
