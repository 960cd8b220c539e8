-- What is found ended stays ended, whoever asks.
UPDATE @.leases AS t
SET (holder, note, since, ttl, until, seen) = (
  SELECT
    CASE WHEN NOT e.ended THEN t.holder END,
    CASE WHEN NOT e.ended THEN t.note END,
    CASE WHEN NOT e.ended THEN t.since END,
    CASE WHEN e.ended THEN NULL WHEN e.owns THEN $6 ELSE t.ttl END,
    CASE WHEN e.ended THEN NULL WHEN e.owns THEN e.now + $6 ELSE e.until END,
    e.now
  FROM (
    SELECT
      c.now, least(t.until, c.now + t.ttl) AS until,
      t.holder IS NULL OR least(t.until, c.now + t.ttl) <= c.now AS ended,
      t.incarnation = $4 AND t.counter = $5 AS owns
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
  ) e
)
WHERE tenant = $1 AND kind = $2 AND name = $3
RETURNING t.incarnation, t.counter, t.holder IS NOT NULL AND t.incarnation = $4 AND t.counter = $5
