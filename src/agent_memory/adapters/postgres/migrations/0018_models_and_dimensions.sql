-- A model may keep its name and change its dimension: its memories have a vector of another model too.
CREATE INDEX memories_by_model_and_dimension ON agent_memory.memories (embedding_model, embedding_dimension, id);
DROP INDEX agent_memory.memories_by_model;
