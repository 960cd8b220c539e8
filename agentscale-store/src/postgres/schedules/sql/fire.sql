-- A firing is that of the epoch it has read. The history of all is one insertion.
WITH n AS (
  SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[]
  ) n(id, was, counter, next_run_at, last_fired_at, fired, late, missed, overlapped)
), changed AS (
  UPDATE @.schedules s
  SET counter = n.counter, next_run_at = n.next_run_at, last_fired_at = n.last_fired_at, fired = s.fired + n.fired,
    late = s.late + n.late, missed = s.missed + n.missed, overlapped = s.overlapped + n.overlapped
  FROM n WHERE s.id = n.id AND s.counter = n.was
  RETURNING s.id
), recorded AS (
  INSERT INTO @.schedule_executions
    (seq, tenant, name, incarnation, counter, run_at, fired_at, outcome, job, missed)
  SELECT nextval('@.schedule_executions_seq'), l.tenant, l.name, 0, l.counter, l.run_at, $10, l.outcome, l.job, l.missed
  FROM unnest($11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::smallint[], $16::uuid[], $17::bigint[])
    WITH ORDINALITY l(tenant, name, counter, run_at, outcome, job, missed, number)
  ORDER BY l.number
)
SELECT count(*) FROM changed
