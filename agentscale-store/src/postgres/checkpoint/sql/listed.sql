SELECT c.thread, c.version, c.base, c.written, c.tags IS NOT NULL, c.ghost
FROM unnest($1::bigint[]) AS n(id) JOIN @.threads t ON t.id = n.id
  JOIN @.checkpoints c ON c.tenant = t.tenant AND c.thread = t.id
ORDER BY c.thread, c.version DESC
