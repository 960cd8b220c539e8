-- Removes what deleted threads have left.
WITH gone AS MATERIALIZED (SELECT thread, tenant FROM @.retired ORDER BY thread LIMIT $1 FOR UPDATE SKIP LOCKED),
checkpoint AS (DELETE FROM @.checkpoints c USING gone g WHERE c.tenant = g.tenant AND c.thread = g.thread),
outcome AS (DELETE FROM @.outcomes o USING gone g WHERE o.tenant = g.tenant AND o.thread = g.thread),
step AS (DELETE FROM @.steps s USING gone g WHERE s.tenant = g.tenant AND s.thread = g.thread),
message AS (DELETE FROM @.outbox o USING gone g WHERE o.tenant = g.tenant AND o.thread = g.thread)
DELETE FROM @.retired r USING gone g WHERE r.thread = g.thread RETURNING r.thread
