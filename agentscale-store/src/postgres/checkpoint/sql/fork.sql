-- Begins a thread with the deltas of another one, whose bytes its chain goes on counting. Nothing is removed meanwhile
-- that the source builds on: its number is locked.
WITH source AS MATERIALIZED (
  SELECT c.tenant, c.thread, c.version, c.base, c.codec, c.schema_version, c.stamp_time, c.stamp_node
  FROM @.threads t JOIN @.checkpoints c ON c.tenant = t.tenant AND c.thread = t.id AND c.version = $3 AND NOT c.ghost
  WHERE t.id = $1 AND t.tenant = $2
),
part AS MATERIALIZED (
  SELECT source.tenant, s.place, s.source AS thread, s.first, s.last
  FROM source JOIN @.shares s ON s.fork = source.thread WHERE source.base = 1
  UNION ALL SELECT tenant, NULL, thread, base, version FROM source
),
chain AS MATERIALIZED (
  SELECT sum(length(c.delta))::bigint AS bytes,
    (array_agg(length(c.delta) ORDER BY part.place NULLS LAST, c.version))[1] AS base_bytes
  FROM part JOIN @.checkpoints c
    ON c.tenant = part.tenant AND c.thread = part.thread AND c.version BETWEEN part.first AND part.last
),
target AS (
  INSERT INTO @.threads AS t (tenant, type, key, version, tip, base, base_bytes, chain_bytes)
  SELECT tenant, $4, $5, 1, $6, 1, chain.base_bytes, chain.bytes FROM source CROSS JOIN chain
  ON CONFLICT (tenant, type, key) DO UPDATE SET deleted = false, version = 1, tip = excluded.tip, base = 1,
    base_bytes = excluded.base_bytes, chain_bytes = excluded.chain_bytes
  WHERE t.version = 0
  RETURNING t.id, t.incarnation, t.counter
),
begun AS (
  INSERT INTO @.checkpoints (tenant, thread, version, commit_id, incarnation, counter, codec, schema_version,
    stamp_time, stamp_node, written, base, origin, delta)
  SELECT source.tenant, target.id, 1, $6, target.incarnation, target.counter, source.codec, source.schema_version,
    source.stamp_time, source.stamp_node, $7, 1, $8, $9
  FROM source CROSS JOIN target
),
shared AS (
  INSERT INTO @.shares (fork, place, source, first, last)
  SELECT target.id, row_number() OVER (ORDER BY part.place NULLS LAST), part.thread, part.first, part.last
  FROM target CROSS JOIN part
)
SELECT target.incarnation, target.counter FROM source LEFT JOIN target ON true
