SELECT 1 FROM @.threads t JOIN @.checkpoints c ON c.tenant = t.tenant AND c.thread = t.id
WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3 AND c.version = $4 AND c.commit_id = $5
  AND t.incarnation = $6 AND t.counter = $7
