-- Whether the very same was said before, at any size of a scope.
CREATE INDEX memories_by_content ON agent_memory.memories (agent_id, user_id, hashtextextended(content, 0));
