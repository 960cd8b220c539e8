SELECT t.type, t.key, t.incarnation, t.counter, t.version, c.stamp_time, c.stamp_node
FROM @.threads t LEFT JOIN @.checkpoints c ON c.tenant = t.tenant AND c.thread = t.id AND c.version = t.version
WHERE t.tenant = $1 AND (t.type, t.key) > ($2, $3) AND ($5::text IS NULL OR t.type = $5) AND NOT t.deleted
ORDER BY t.type, t.key LIMIT $4
