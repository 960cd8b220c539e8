SELECT
  t.incarnation, t.counter, t.acquire_id,
  CASE WHEN t.until > c.now THEN t.holder END, t.note, t.since, t.until - c.now
FROM @.leases AS t, (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
WHERE t.tenant = $1 AND t.kind = $2 AND t.name = $3
