WITH target AS MATERIALIZED (
  SELECT c.tenant, c.thread, c.version, c.base
  FROM @.threads t JOIN @.checkpoints c
    ON c.tenant = t.tenant AND c.thread = t.id AND c.version = coalesce($4::bigint, t.version) AND NOT c.ghost
  WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3
)
SELECT c.version, c.commit_id, c.incarnation, c.counter, c.codec, c.schema_version, c.stamp_time, c.stamp_node,
  c.tags, c.origin, c.delta, target.version - target.base + 1
FROM target JOIN @.checkpoints c
  ON c.tenant = target.tenant AND c.thread = target.thread AND c.version BETWEEN target.base AND target.version
ORDER BY c.version
