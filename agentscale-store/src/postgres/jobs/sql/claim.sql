-- Plans are made while segments are empty, and kept when they are not. So jobs are found by `worker` only where the index of
-- those that are ready or running is wanted, else by `at`; and `= ANY (ARRAY[...])` keeps a join from reading all of an index.
--
-- Jobs of one class after those of the class before, segment after segment, oldest first; before them the oldest of any class.
-- The planner keeps the order of `probe`, and the limit ends the search at the first enough.
WITH probe AS MATERIALIZED (
  SELECT c.class::smallint, s.segment, greatest($2, m.mark) AS mark
  FROM generate_series(0, 5) c(class)
  CROSS JOIN (@.jobs_ring r CROSS JOIN unnest(r.live) WITH ORDINALITY s(segment, place))
  LEFT JOIN unnest($3::smallint[], $4::smallint[], $5::bigint[]) m(class, segment, mark)
    ON m.class = c.class AND m.segment = s.segment
  WHERE r.only_row
  ORDER BY c.class, s.place
), oldest AS MATERIALIZED (
  SELECT h.segment, h.id FROM probe p CROSS JOIN LATERAL (
    SELECT j.segment, j.id, j.seq FROM @.jobs j
    WHERE j.segment = p.segment AND j.queue = $1 AND j.class = p.class AND j.seq > p.mark AND j.worker IS NULL
    ORDER BY j.seq LIMIT $7
  ) h ORDER BY h.seq LIMIT $7
), aged AS MATERIALIZED (
  SELECT h.* FROM oldest o CROSS JOIN LATERAL (
    SELECT j.segment, j.id, j.ctid AS row FROM @.jobs j
    WHERE j.segment = o.segment AND j.id = o.id AND j.at IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED
  ) h
), urgent AS MATERIALIZED (
  SELECT h.* FROM probe p CROSS JOIN LATERAL (
    SELECT j.segment, j.id, j.ctid AS row FROM @.jobs j
    WHERE j.segment = p.segment AND j.queue = $1 AND j.class = p.class AND j.seq > p.mark AND j.worker IS NULL
    ORDER BY j.seq LIMIT $6 FOR UPDATE SKIP LOCKED
  ) h LIMIT $6
), picked AS MATERIALIZED (
  SELECT * FROM aged UNION ALL
  SELECT u.* FROM urgent u WHERE NOT EXISTS (SELECT FROM aged a WHERE a.segment = u.segment AND a.row = u.row)
  LIMIT $6
), claimed AS (
  UPDATE @.jobs j SET worker = $8, attempts = j.attempts + 1,
    at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $9
  FROM picked p WHERE j.segment = p.segment AND j.id = ANY (ARRAY[p.id]) AND j.ctid = p.row
  RETURNING j.*
), freed AS (
  DELETE FROM @.jobs_keys k USING claimed c
  WHERE c.unique_begun AND k.tenant = c.tenant AND k.key = c.unique_key AND k.job = c.id
)
SELECT l.last_value, c.segment, c.id, c.seq, c.tenant, c.queue, c.class, c.kind, c.payload, c.details, c.attempts,
  c.max_attempts, c.enqueued
FROM @.jobs_seq l LEFT JOIN claimed c ON true
