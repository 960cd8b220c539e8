-- The clock is read where the row is locked. A lease whose time is over is granted, unless it was to this very request;
-- of one that is held the time is cut to its full length, in case the clock stepped back.
INSERT INTO @.leases AS t (tenant, kind, name, counter, acquire_id, holder, note, since, ttl, until, seen)
SELECT $1, $2, $3, 1, $4, $5, $6, c.now, $7, c.now + $7, c.now
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
ON CONFLICT (tenant, kind, name) DO UPDATE
SET (counter, acquire_id, holder, note, since, ttl, until, seen) = (
  SELECT
    CASE WHEN s.grants THEN t.counter + 1 ELSE t.counter END,
    CASE WHEN s.grants THEN excluded.acquire_id ELSE t.acquire_id END,
    CASE WHEN s.grants THEN excluded.holder WHEN s.ended THEN NULL ELSE t.holder END,
    CASE WHEN s.grants THEN excluded.note WHEN s.ended THEN NULL ELSE t.note END,
    CASE WHEN s.grants THEN s.now WHEN s.ended THEN NULL ELSE t.since END,
    CASE WHEN s.grants THEN excluded.ttl WHEN s.ended THEN NULL ELSE t.ttl END,
    CASE WHEN s.grants THEN s.now + excluded.ttl WHEN s.ended THEN NULL ELSE s.until END,
    s.now
  FROM (
    SELECT e.now, e.until, e.ended, e.ended AND t.acquire_id <> excluded.acquire_id AS grants
    FROM (
      SELECT
        c.now, least(t.until, c.now + t.ttl) AS until,
        t.holder IS NULL OR least(t.until, c.now + t.ttl) <= c.now AS ended
      FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
    ) e
  ) s
)
RETURNING t.incarnation, t.counter, t.acquire_id = $4, t.holder, t.note, t.since, t.until - t.seen
