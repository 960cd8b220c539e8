-- The names of threads stand for themselves, so that checkpoints are found by all of their key.
WITH named AS MATERIALIZED (SELECT t.tenant, t.id FROM unnest($1::bigint[]) AS n(id) JOIN @.threads t ON t.id = n.id)
SELECT c.thread, c.version, c.base, c.written, c.tags IS NOT NULL, c.ghost
FROM named n JOIN @.checkpoints c ON c.tenant = n.tenant AND c.thread = n.id
ORDER BY c.thread, c.version DESC
