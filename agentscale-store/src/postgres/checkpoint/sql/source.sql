-- A checkpoint to fork from, and how many threads a fork of it would share deltas of.
SELECT c.version, c.commit_id, c.incarnation, c.counter, c.codec, c.schema_version, c.stamp_time, c.stamp_node,
  c.tags, c.origin, t.id, 1 + (SELECT count(*) FROM @.shares s WHERE s.fork = t.id AND c.base = 1)
FROM @.threads t JOIN @.checkpoints c
  ON c.tenant = t.tenant AND c.thread = t.id AND c.version = coalesce($4::bigint, t.version) AND NOT c.ghost
WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3
