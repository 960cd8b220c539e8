-- The state that it is in, as `JobState` has it; no row where there is no such job.
WITH hit AS MATERIALIZED (
  SELECT j.segment, j.id, j.worker FROM @.jobs j WHERE j.id = $2 AND j.tenant = $1 LIMIT 1 FOR UPDATE
), gone AS (
  DELETE FROM @.jobs j USING hit h WHERE j.segment = h.segment AND j.id = ANY (ARRAY[h.id]) AND h.segment > -2 AND h.worker IS NULL
  RETURNING j.*
), marked AS (
  UPDATE @.jobs j SET cancel = true FROM hit h WHERE j.segment = h.segment AND j.id = ANY (ARRAY[h.id]) AND h.worker IS NOT NULL
), freed AS (
  DELETE FROM @.jobs_keys k USING gone g WHERE k.tenant = g.tenant AND k.key = g.unique_key AND k.job = g.id
), recorded AS (
  UPDATE @.jobs_outcomes o
  SET state = 4, expires = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + g.retention
  FROM gone g WHERE o.tenant = g.tenant AND o.key = g.idempotency AND o.job = g.id
)
SELECT CASE WHEN h.segment = -2 THEN 5 WHEN h.worker IS NULL THEN 4 ELSE 2 END::smallint FROM hit h
