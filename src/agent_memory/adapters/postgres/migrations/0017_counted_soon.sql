-- Of a tenant that came since the planner last counted it expects one row, and looks for a memory of his by going through
-- all of them. Counting takes a second at most, however large the table is; a tenth of a large one is too long to wait.
ALTER TABLE agent_memory.memories SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500);
