-- What was told again, by its id, and which memory it has reinforced: it does so once, however often it is sent.
CREATE TABLE agent_memory.reinforcements (
    id uuid NOT NULL,
    tenant text NOT NULL,
    memory_id uuid NOT NULL,
    PRIMARY KEY (id, tenant),
    FOREIGN KEY (memory_id, tenant) REFERENCES agent_memory.memories (id, tenant) ON DELETE CASCADE
);

CREATE INDEX reinforcements_by_memory ON agent_memory.reinforcements (memory_id, tenant);
