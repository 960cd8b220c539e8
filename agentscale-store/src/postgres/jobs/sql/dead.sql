SELECT j.segment, j.id, j.seq, j.tenant, j.queue, j.class, j.kind, j.payload, j.details, j.attempts, j.max_attempts, j.enqueued,
  j.cause, j.at
FROM @.jobs j
WHERE j.segment = -2 AND j.seq > $1 AND ($2::text IS NULL OR j.tenant = $2) AND ($3::text IS NULL OR j.queue = $3)
ORDER BY j.seq LIMIT $4
