-- What a fork has come to share since it was listed stays. Told are the threads that something was shared of. What is named
-- stands for itself, so that checkpoints are found by all of their key.
WITH named AS MATERIALIZED (
  SELECT t.tenant, g.thread, g.version
  FROM unnest($1::bigint[], $2::bigint[]) AS g(thread, version) JOIN @.threads t ON t.id = g.thread
),
gone AS (
  DELETE FROM @.checkpoints c USING named n
  WHERE c.tenant = n.tenant AND c.thread = n.thread AND c.version = n.version
    AND (SELECT true FROM @.shares s WHERE s.source = n.thread AND n.version BETWEEN s.first AND s.last LIMIT 1) IS NULL
  RETURNING c.thread, c.version
)
DELETE FROM @.shares s USING gone g WHERE g.version = 1 AND s.fork = g.thread
RETURNING s.source
