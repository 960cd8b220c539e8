-- Which queues have something: ready, due or lost.
SELECT q.place FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY q(queue, mark, due, place)
CROSS JOIN (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now OFFSET 0) m
WHERE EXISTS (
  SELECT FROM @.jobs_ring r CROSS JOIN unnest(r.live) s(segment) CROSS JOIN generate_series(0, 5) c(class)
  CROSS JOIN LATERAL (
    SELECT FROM @.jobs j
    WHERE j.segment = s.segment AND j.queue = q.queue AND j.class = c.class AND j.seq > q.mark AND j.worker IS NULL LIMIT 1
  ) j WHERE r.only_row
) OR EXISTS (
  SELECT FROM @.jobs j WHERE j.segment = -1 AND j.queue = q.queue AND j.at >= q.due AND j.at <= m.now
) OR EXISTS (
  SELECT FROM @.jobs_ring r CROSS JOIN unnest(r.live) s(segment) CROSS JOIN LATERAL (
    SELECT FROM @.jobs j
    WHERE j.segment = s.segment AND j.queue = q.queue AND j.worker IS NOT NULL AND j.at >= q.due AND j.at <= m.now LIMIT 1
  ) j WHERE r.only_row
)
