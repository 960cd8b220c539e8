-- Locked in one order by all, so that nobody waits for one that waits for it.
SELECT s.id, s.tenant, s.name, s.revision, s.incarnation, s.counter, s.definition, s.payload, s.paused, s.next_run_at,
  s.last_fired_at, s.fired, s.late, s.missed, s.overlapped,
  nextval('@.schedule_numbers'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, l.place
FROM (
  SELECT w.id, e.place
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY e(tenant, topic, place)
  JOIN @.schedules w ON w.tenant = e.tenant AND w.topic = e.topic AND NOT w.paused AND w.topic IS NOT NULL
  ORDER BY w.id
) l
JOIN @.schedules s ON s.id = l.id AND NOT s.paused
ORDER BY s.id
FOR NO KEY UPDATE OF s
