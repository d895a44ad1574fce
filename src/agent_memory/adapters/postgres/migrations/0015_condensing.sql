-- What condensing knows of a memory: it stands for others, or was brought back and is not condensed again.
ALTER TABLE agent_memory.memories ADD COLUMN condensing text CHECK (condensing IN ('summary', 'restored'));

-- Till now the metadata told, which are the user's own. Those of a summary go on telling people.
UPDATE agent_memory.memories AS m SET condensing = 'summary'
WHERE metadata ? 'condensed' AND jsonb_typeof(metadata -> 'condensed') = 'object'
  AND metadata -> 'condensed' ?& ARRAY['memories', 'from', 'until']
  AND ((memory_type = 'semantic' AND 'condensed' = ANY(tags)) OR EXISTS (
      SELECT FROM agent_memory.memories AS source
      WHERE source.superseded_by = m.id AND source.tenant = m.tenant
        AND source.agent_id = m.agent_id AND source.user_id = m.user_id
  ));
UPDATE agent_memory.memories SET condensing = 'restored', metadata = metadata - 'condensed'
WHERE memory_type = 'episodic' AND metadata -> 'condensed' = '"restored"';
