WITH gone AS (
  DELETE FROM @.jobs j WHERE j.segment = -2 AND j.tenant = $1 AND j.id = ANY ($2) RETURNING j.*
), ready AS (
  INSERT INTO @.jobs (segment, id, seq, tenant, queue, class, kind, payload, details, max_attempts, enqueued, cause,
    idempotency, retention)
  SELECT r.current, g.id, nextval('@.jobs_seq'), g.tenant, g.queue, g.class, g.kind, g.payload, g.details, g.max_attempts,
    g.enqueued, g.cause, g.idempotency, g.retention
  FROM (SELECT * FROM gone ORDER BY seq) g CROSS JOIN @.jobs_ring r WHERE r.only_row
), reopened AS (
  UPDATE @.jobs_outcomes o SET state = NULL, body = NULL, expires = NULL
  FROM gone g WHERE o.tenant = g.tenant AND o.key = g.idempotency AND o.job = g.id
)
SELECT id, queue FROM gone
