-- Whose vectors all memories are to have: of the programs that use the database, one's alone.
CREATE TABLE agent_memory.embedder_claim (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    model text NOT NULL,
    dimension integer NOT NULL,
    claimed_at timestamptz NOT NULL
);
