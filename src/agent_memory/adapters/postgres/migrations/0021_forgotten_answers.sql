-- A memory that the answer told is gone, and the answer with it.
ALTER TABLE agent_memory.answers ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
-- The request came again: another attempt may have kept something under the key's ids, and a refusal does not free it.
ALTER TABLE agent_memory.answers ADD COLUMN repeated boolean NOT NULL DEFAULT false;
-- Of an answer of an older server nobody knows what it tells, so nobody could forget it with that. To give it up would
-- do its request twice when it comes again; so it is refused, till its key ages out. What has no answer stays as it is.
UPDATE agent_memory.answers SET answer = NULL, forgotten = true WHERE memory_ids = '{}' AND answer IS NOT NULL;
-- Whoever forgets many looks for each, and what waits to be sorted in would be read whole each time.
CREATE INDEX answers_by_memory ON agent_memory.answers USING gin (memory_ids) WITH (fastupdate = off);
