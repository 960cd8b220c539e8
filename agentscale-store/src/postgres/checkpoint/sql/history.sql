SELECT c.version, c.commit_id, c.incarnation, c.counter, c.codec, c.schema_version, c.stamp_time, c.stamp_node,
  c.tags, c.origin
FROM @.threads t JOIN @.checkpoints c ON c.tenant = t.tenant AND c.thread = t.id
WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3 AND c.version < $4 AND NOT c.ghost
ORDER BY c.version DESC LIMIT $5
