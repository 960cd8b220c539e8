-- The thread goes on under another number; what stands under the old one is out of reach at once, and removed after.
WITH old AS MATERIALIZED (
  SELECT tenant, type, key, id FROM @.threads
  WHERE tenant = $1 AND type = $2 AND key = $3 AND incarnation = $4 AND counter = $5
  FOR UPDATE
),
retired AS (INSERT INTO @.retired (thread, tenant) SELECT id, tenant FROM old)
UPDATE @.threads t SET id = nextval('@.thread_numbers'), deleted = true, version = 0, tip = NULL, base = 0,
  base_bytes = 0, chain_bytes = 0
FROM old WHERE t.tenant = old.tenant AND t.type = old.type AND t.key = old.key
RETURNING old.id
