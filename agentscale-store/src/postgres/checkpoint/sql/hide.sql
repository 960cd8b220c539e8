-- What is named stands for itself, so that checkpoints are found by all of their key.
WITH named AS MATERIALIZED (
  SELECT t.tenant, g.thread, g.version
  FROM unnest($1::bigint[], $2::bigint[]) AS g(thread, version) JOIN @.threads t ON t.id = g.thread
)
UPDATE @.checkpoints c SET ghost = true FROM named n
WHERE c.tenant = n.tenant AND c.thread = n.thread AND c.version = n.version
