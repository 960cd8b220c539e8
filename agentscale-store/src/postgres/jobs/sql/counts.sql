SELECT q.place, w.waiting, w.due + r.ready, s.running, d.dead, m.now - least(w.oldest, r.oldest)
FROM unnest($1::text[]) WITH ORDINALITY q(queue, place)
CROSS JOIN (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now OFFSET 0) m
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE j.at > m.now) AS waiting, count(*) FILTER (WHERE j.at <= m.now) AS due,
    min(j.enqueued) FILTER (WHERE j.at <= m.now) AS oldest
  FROM @.jobs j WHERE j.segment = -1 AND j.queue = q.queue
) w
CROSS JOIN LATERAL (
  SELECT count(*) AS ready, min(j.enqueued) AS oldest
  FROM @.jobs j WHERE j.segment >= 0 AND j.queue = q.queue AND j.worker IS NULL
) r
CROSS JOIN LATERAL (
  SELECT count(*) AS running FROM @.jobs j WHERE j.segment >= 0 AND j.queue = q.queue AND j.worker IS NOT NULL
) s
CROSS JOIN LATERAL (SELECT count(*) AS dead FROM @.jobs j WHERE j.segment = -2 AND j.queue = q.queue) d
