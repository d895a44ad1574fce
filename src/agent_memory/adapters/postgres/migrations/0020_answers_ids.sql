-- Which ids the memories have that a request makes, at every attempt. An older server gives none.
ALTER TABLE agent_memory.answers ADD COLUMN memory_ids uuid[] NOT NULL DEFAULT '{}';
