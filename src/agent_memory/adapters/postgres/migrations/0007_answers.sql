-- What was answered to a request that may be sent again.
CREATE TABLE agent_memory.answers (
    key text PRIMARY KEY,
    request text NOT NULL,
    agent_id text NOT NULL,
    user_id text NOT NULL,
    answer text,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX answers_by_user ON agent_memory.answers (user_id);
CREATE INDEX answers_by_age ON agent_memory.answers (claimed_at);
