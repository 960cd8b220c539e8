-- `becomes` is the state of a job as `JobState` has it: 0 waiting, 1 ready, 3 completed, 4 cancelled, 5 dead. A run whose time
-- is over is lost, and ended by nobody but who finds that.
WITH f AS MATERIALIZED (
  SELECT *, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now FROM unnest(
    $1::integer[], $2::smallint[], $3::uuid[], $4::bigint[], $5::smallint[], $6::bytea[], $7::text[], $8::bigint[], $9::boolean[]
  ) f(place, segment, id, seq, outcome, result, cause, after, lost)
), ended AS (
  DELETE FROM @.jobs j USING f
  WHERE j.segment = f.segment AND j.id = ANY (ARRAY[f.id]) AND j.seq = f.seq AND (j.at <= f.now) = f.lost
  RETURNING f.place, f.outcome, f.result, f.cause AS new_cause, f.after, f.now, CASE
    WHEN f.outcome = 3 THEN 3
    WHEN f.outcome = 4 OR (j.cancel AND f.outcome IN (0, 1)) THEN 4
    WHEN f.outcome = 5 OR (f.outcome = 0 AND j.attempts >= j.max_attempts) THEN 5
    WHEN f.after > 0 THEN 0
    ELSE 1
  END::smallint AS becomes, j.*
), kept AS (
  INSERT INTO @.jobs (segment, id, seq, tenant, queue, class, kind, payload, details, attempts, max_attempts, enqueued, cause,
    unique_key, unique_begun, idempotency, retention, at)
  SELECT CASE e.becomes WHEN 0 THEN -1 WHEN 1 THEN r.current ELSE -2 END, e.id, nextval('@.jobs_seq'), e.tenant, e.queue,
    e.class, e.kind, e.payload, e.details, CASE e.outcome WHEN 1 THEN e.attempts - 1 ELSE e.attempts END, e.max_attempts,
    e.enqueued, coalesce(e.new_cause, e.cause), e.unique_key, e.unique_begun, e.idempotency, e.retention,
    CASE e.becomes WHEN 0 THEN e.now + e.after WHEN 5 THEN e.now END
  FROM ended e CROSS JOIN @.jobs_ring r WHERE r.only_row AND e.becomes IN (0, 1, 5)
), freed AS (
  DELETE FROM @.jobs_keys k USING ended e
  WHERE e.unique_key IS NOT NULL AND e.becomes IN (3, 4, 5) AND k.tenant = e.tenant AND k.key = e.unique_key AND k.job = e.id
), recorded AS (
  UPDATE @.jobs_outcomes o SET state = e.becomes, expires = e.now + e.retention,
    body = CASE e.becomes WHEN 3 THEN e.result WHEN 5 THEN convert_to(e.new_cause, 'UTF8') END
  FROM ended e
  WHERE e.idempotency IS NOT NULL AND e.becomes IN (3, 4, 5)
    AND o.tenant = e.tenant AND o.key = e.idempotency AND o.job = e.id
)
SELECT place, becomes, queue FROM ended
