-- Begins a thread with a copy of another one's state.
WITH target AS (
  INSERT INTO @.threads AS t (tenant, type, key, version, tip, base, base_bytes, chain_bytes)
  VALUES ($1, $2, $3, 1, $4, 1, length($11::bytea), length($11::bytea))
  ON CONFLICT (tenant, type, key) DO UPDATE SET deleted = false, version = 1, tip = excluded.tip, base = 1,
    base_bytes = excluded.base_bytes, chain_bytes = excluded.chain_bytes
  WHERE t.version = 0
  RETURNING t.id, t.incarnation, t.counter
)
INSERT INTO @.checkpoints (tenant, thread, version, commit_id, incarnation, counter, codec, schema_version,
  stamp_time, stamp_node, written, base, origin, delta)
SELECT $1, id, 1, $4, incarnation, counter, $5, $6, $7, $8, $9, 1, $10, $11 FROM target
RETURNING incarnation, counter
