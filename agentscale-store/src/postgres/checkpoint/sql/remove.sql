-- What a fork has come to share since it was listed stays. Told are the threads that something was shared of.
WITH gone AS (
  DELETE FROM @.checkpoints c USING unnest($1::bigint[], $2::bigint[]) AS g(thread, version), @.threads t
  WHERE t.id = g.thread AND c.tenant = t.tenant AND c.thread = g.thread AND c.version = g.version
    AND (SELECT true FROM @.shares s WHERE s.source = c.thread AND c.version BETWEEN s.first AND s.last LIMIT 1) IS NULL
  RETURNING c.thread, c.version
)
DELETE FROM @.shares s USING gone g WHERE g.version = 1 AND s.fork = g.thread
RETURNING s.source
