-- Which memories still have a vector of another model.
CREATE INDEX memories_by_model ON agent_memory.memories (embedding_model, id);
