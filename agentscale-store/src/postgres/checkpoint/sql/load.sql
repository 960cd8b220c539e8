-- A checkpoint with the deltas that it builds on, those of other threads first that its base shares.
WITH target AS MATERIALIZED (
  SELECT c.tenant, c.thread, c.version, c.base
  FROM @.threads t JOIN @.checkpoints c
    ON c.tenant = t.tenant AND c.thread = t.id AND c.version = coalesce($4::bigint, t.version) AND NOT c.ghost
  WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3
),
part AS MATERIALIZED (
  SELECT target.tenant, s.place, s.source AS thread, s.first, s.last
  FROM target JOIN @.shares s ON s.fork = target.thread WHERE target.base = 1
  UNION ALL SELECT tenant, NULL, thread, base, version FROM target
)
SELECT c.version, c.commit_id, c.incarnation, c.counter, c.codec, c.schema_version, c.stamp_time, c.stamp_node,
  c.tags, c.origin, c.delta, (SELECT sum(last - first + 1)::bigint FROM part)
FROM part JOIN @.checkpoints c
  ON c.tenant = part.tenant AND c.thread = part.thread AND c.version BETWEEN part.first AND part.last
ORDER BY part.place NULLS LAST, c.version
