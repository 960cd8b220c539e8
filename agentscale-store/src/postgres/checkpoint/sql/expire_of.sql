WITH named AS MATERIALIZED (SELECT t.tenant, t.id FROM unnest($3::bigint[]) AS n(id) JOIN @.threads t ON t.id = n.id),
gone AS MATERIALIZED (
  SELECT o.tenant, o.thread, o.key FROM named n JOIN @.outcomes o ON o.tenant = n.tenant AND o.thread = n.id
  WHERE o.until <= $1 LIMIT $2
  FOR UPDATE OF o SKIP LOCKED
)
DELETE FROM @.outcomes o USING gone g
WHERE o.tenant = g.tenant AND o.thread = g.thread AND o.key = g.key AND o.until <= $1
RETURNING 1
