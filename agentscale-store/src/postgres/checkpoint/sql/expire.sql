WITH gone AS MATERIALIZED (
  SELECT o.tenant, o.thread, o.key FROM @.outcomes o WHERE o.until <= $1 ORDER BY o.until LIMIT $2
  FOR UPDATE SKIP LOCKED
)
DELETE FROM @.outcomes o USING gone g
WHERE o.tenant = g.tenant AND o.thread = g.thread AND o.key = g.key AND o.until <= $1
RETURNING 1
