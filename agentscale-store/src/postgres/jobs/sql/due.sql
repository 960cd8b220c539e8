-- Makes what is due ready, and names the runs that are lost. The last row says how many were due, and what time it is.
WITH moment AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now),
due AS MATERIALIZED (
  SELECT j.id FROM moment m CROSS JOIN LATERAL (
    SELECT w.id FROM @.jobs w
    WHERE w.segment = -1 AND w.queue = $1 AND w.at >= $2 AND w.at <= m.now ORDER BY w.at LIMIT $3 FOR UPDATE SKIP LOCKED
  ) j
), moved AS (
  DELETE FROM @.jobs j USING due d WHERE j.segment = -1 AND j.id = ANY (ARRAY[d.id]) RETURNING j.*
), ready AS (
  INSERT INTO @.jobs (segment, id, seq, tenant, queue, class, kind, payload, details, attempts, max_attempts, enqueued, cause,
    unique_key, unique_begun, idempotency, retention)
  SELECT r.current, m.id, nextval('@.jobs_seq'), m.tenant, m.queue, m.class, m.kind, m.payload, m.details, m.attempts,
    m.max_attempts, m.enqueued, m.cause, m.unique_key, m.unique_begun, m.idempotency, m.retention
  FROM (SELECT * FROM moved ORDER BY at) m CROSS JOIN @.jobs_ring r WHERE r.only_row
), lost AS (
  SELECT j.* FROM moment m
  CROSS JOIN (@.jobs_ring r CROSS JOIN unnest(r.live) s(segment))
  CROSS JOIN LATERAL (
    SELECT j.segment, j.id, j.seq, j.worker FROM @.jobs j
    WHERE j.segment = s.segment AND j.queue = $1 AND j.worker IS NOT NULL AND j.at >= $2 AND j.at <= m.now
    ORDER BY j.at LIMIT $3
  ) j WHERE r.only_row LIMIT $3
)
SELECT segment, id, seq, worker, NULL::bigint AS moved, NULL::bigint AS now FROM lost
UNION ALL
SELECT NULL, NULL, NULL, NULL, (SELECT count(*) FROM moved), now FROM moment
