-- New words go into their index at once: what waits to be put in is read from end to end by every search of a large scope.
DO $$
BEGIN
    IF to_regclass('agent_memory.memories_by_word') IS NOT NULL THEN
        ALTER INDEX agent_memory.memories_by_word SET (fastupdate = off);
        PERFORM gin_clean_pending_list('agent_memory.memories_by_word');
    END IF;
END $$;
