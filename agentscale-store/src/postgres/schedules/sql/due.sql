-- What another one fires at this moment is passed over; what it has fired just now is looked at again and is not due.
WITH c AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now)
SELECT s.id, s.tenant, s.name, s.revision, s.incarnation, s.counter, s.definition, s.payload, s.paused, s.next_run_at,
  s.last_fired_at, s.fired, s.late, s.missed, s.overlapped,
  nextval('@.schedule_numbers'), c.now
FROM c CROSS JOIN LATERAL (
  SELECT * FROM @.schedules d WHERE d.next_run_at <= c.now ORDER BY d.next_run_at LIMIT $1 FOR UPDATE SKIP LOCKED
) s
