-- Jobs without keys, no id twice. `found` says: 0 added, 1 there already, 2 there with other content. Of one call (`op`) none is
-- added where one is there with other content; one that is not answered was added by somebody else at the same time.
WITH n AS MATERIALIZED (
  SELECT *, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now FROM unnest(
    $1::integer[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::smallint[], $7::text[], $8::bytea[], $9::bytea[],
    $10::integer[], $11::bigint[], $12::bigint[]
  ) n(place, op, id, tenant, queue, class, kind, payload, details, max_attempts, delay, start)
), known AS MATERIALIZED (
  SELECT n.place, n.op, j.is_same FROM n CROSS JOIN LATERAL (
    SELECT (j.tenant, j.queue, j.kind, j.payload) = (n.tenant, n.queue, n.kind, n.payload) AS is_same
    FROM @.jobs j WHERE j.id = n.id LIMIT 1
  ) j
), fresh AS MATERIALIZED (
  SELECT n.*, coalesce(n.now + n.delay, n.start, 0) AS due FROM n
  WHERE NOT EXISTS (SELECT FROM known k WHERE k.place = n.place OR (k.op = n.op AND NOT k.is_same))
), added AS (
  INSERT INTO @.jobs (segment, id, seq, tenant, queue, class, kind, payload, details, max_attempts, enqueued, at)
  SELECT CASE WHEN f.due > f.now THEN -1 ELSE r.current END, f.id, nextval('@.jobs_seq'), f.tenant, f.queue, f.class, f.kind,
    f.payload, f.details, f.max_attempts, f.now, CASE WHEN f.due > f.now THEN f.due END
  FROM fresh f CROSS JOIN @.jobs_ring r WHERE r.only_row
  ON CONFLICT DO NOTHING
  RETURNING id
)
SELECT f.place, 0::smallint AS found FROM added a JOIN fresh f USING (id)
UNION ALL
SELECT k.place, CASE WHEN k.is_same THEN 1 ELSE 2 END::smallint FROM known k
