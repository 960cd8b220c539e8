-- Removes what deleted threads have left; what forks share of them stays, and their numbers are kept as long. Told are the
-- threads that something was shared of.
WITH line AS MATERIALIZED (SELECT thread, tenant FROM @.retired WHERE thread = ANY($1) ORDER BY thread FOR UPDATE),
gone AS (
  DELETE FROM @.checkpoints c USING line l WHERE c.tenant = l.tenant AND c.thread = l.thread
    AND (SELECT true FROM @.shares s WHERE s.source = c.thread AND c.version BETWEEN s.first AND s.last LIMIT 1) IS NULL
  RETURNING c.thread, c.version
),
released AS (DELETE FROM @.shares s USING gone g WHERE g.version = 1 AND s.fork = g.thread RETURNING s.source),
outcome AS (DELETE FROM @.outcomes o USING line l WHERE o.tenant = l.tenant AND o.thread = l.thread),
step AS (DELETE FROM @.steps s USING line l WHERE s.tenant = l.tenant AND s.thread = l.thread),
message AS (DELETE FROM @.outbox o USING line l WHERE o.tenant = l.tenant AND o.thread = l.thread),
ended AS (
  DELETE FROM @.retired r USING line l WHERE r.thread = l.thread
    AND (SELECT true FROM @.shares s WHERE s.source = l.thread LIMIT 1) IS NULL
)
SELECT DISTINCT source FROM released
