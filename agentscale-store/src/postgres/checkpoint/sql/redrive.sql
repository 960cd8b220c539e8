-- The sender gets a thread where it has none, so that the outbox can name it.
WITH taken AS (
  DELETE FROM @.dead_letters WHERE id = ANY($1) RETURNING id, tenant, type, key, message
),
sender AS (
  INSERT INTO @.threads AS t (tenant, type, key, deleted)
  SELECT DISTINCT tenant, type, key, true FROM taken ORDER BY tenant, type, key
  ON CONFLICT (tenant, type, key) DO UPDATE SET deleted = t.deleted
  RETURNING t.id, t.tenant, t.type, t.key
),
sent AS (
  INSERT INTO @.outbox (id, tenant, thread, attempts, message)
  SELECT taken.id, taken.tenant, sender.id, 0, taken.message FROM taken JOIN sender USING (tenant, type, key)
  ORDER BY array_position($1, taken.id)
  ON CONFLICT (id) DO NOTHING
)
SELECT id, message, tenant, type, key FROM taken ORDER BY array_position($1, id)
