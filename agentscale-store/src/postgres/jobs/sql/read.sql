-- Whether its run is lost stands last.
SELECT j.segment, j.id, j.seq, j.tenant, j.queue, j.class, j.kind, j.payload, j.details, j.attempts, j.max_attempts, j.enqueued,
  j.cause, CASE
    WHEN j.segment = -2 THEN 5
    WHEN j.worker IS NOT NULL THEN 2
    WHEN j.segment = -1 AND j.at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint THEN 0
    ELSE 1
  END::smallint, j.worker, j.at <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
FROM @.jobs j WHERE j.id = $2 AND j.tenant = $1 LIMIT 1
