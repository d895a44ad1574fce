-- Responses that later requests go on from.
CREATE TABLE agent_memory.responses (
    owner text NOT NULL,
    id text NOT NULL,
    previous text,
    asked text NOT NULL,
    told text NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner, id)
);

CREATE INDEX responses_by_age ON agent_memory.responses (kept_at);
