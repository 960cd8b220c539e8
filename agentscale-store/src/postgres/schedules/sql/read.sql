SELECT s.id, s.tenant, s.name, s.revision, s.incarnation, s.counter, s.definition, s.payload, s.paused, s.next_run_at,
  s.last_fired_at, s.fired, s.late, s.missed, s.overlapped
FROM @.schedules s WHERE s.tenant = $1 AND s.name = $2
