-- Where the epoch is the one that holds it, the inner query has no row, and all becomes null.
UPDATE @.leases AS t
SET (holder, note, since, ttl, until) = (
  SELECT t.holder, t.note, t.since, t.ttl, t.until WHERE NOT (t.incarnation = $4 AND t.counter = $5)
)
WHERE tenant = $1 AND kind = $2 AND name = $3
RETURNING t.incarnation, t.counter, t.incarnation = $4 AND t.counter = $5
