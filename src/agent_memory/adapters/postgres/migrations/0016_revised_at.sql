-- When a version was made, where that is not when the memory was kept: null for the first one. Of versions that were made
-- before this step nobody knows when; they are null too, and are told as of when the memory was kept. Columns that may be
-- null and have no default are added without a row being written, however many there are.
ALTER TABLE agent_memory.memories ADD COLUMN revised_at timestamptz;
ALTER TABLE agent_memory.memory_versions ADD COLUMN revised_at timestamptz;
