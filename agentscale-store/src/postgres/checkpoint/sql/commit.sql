-- Judges and writes commits of different threads, all that pass in one transaction.
-- A row that another connection holds is passed over, so that nobody who is stopped there stops the others.
WITH input AS MATERIALIZED (
  SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::uuid[], $8::uuid[],
    $9::smallint[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[],
    $16::bytea[], $17::text[], $18::bytea[], $19::bigint[], $20::bigint[], $21::bytea[], $22::uuid[], $23::text[]
  ) WITH ORDINALITY AS i(
    tenant, type, key, incarnation, counter, expected, commit_id, guard,
    shape, codec, schema_version, stamp_time, stamp_node, written, tags,
    delta, outcome, request_hash, retention, until, reply, settles, turn, n
  )
),
locked AS MATERIALIZED (
  SELECT i.n, t.id, t.incarnation, t.counter, t.version, t.tip, t.base_bytes, t.chain_bytes
  FROM input i JOIN @.threads t ON t.tenant = i.tenant AND t.type = i.type AND t.key = i.key
  FOR NO KEY UPDATE OF t SKIP LOCKED
),
handled AS MATERIALIZED (
  SELECT i.n, o.seq FROM input i JOIN @.outbox o ON o.id = i.settles
  FOR UPDATE OF o SKIP LOCKED
),
-- What is unique is looked up as a value: the planner may answer `EXISTS` by reading the whole table.
judged AS MATERIALIZED (
  SELECT i.n, i.tenant, i.turn, l.id, l.version, l.tip, h.seq,
    i.shape > 0 OR l.version = 0 AS is_whole,
    CASE
      WHEN l.id IS NULL THEN CASE WHEN (
        SELECT true FROM @.threads t WHERE t.tenant = i.tenant AND t.type = i.type AND t.key = i.key
      ) THEN 5 ELSE 1 END
      WHEN l.incarnation <> i.incarnation OR l.counter <> i.counter THEN 1
      WHEN l.version <> i.expected THEN 2
      WHEN l.tip <> i.guard THEN 6
      WHEN (
        SELECT true FROM @.outcomes o WHERE o.tenant = i.tenant AND o.thread = l.id AND o.key = i.outcome
          AND o.until > i.written AND o.request_hash <> i.request_hash
      ) THEN 3
      WHEN i.settles IS NOT NULL AND h.seq IS NULL THEN CASE WHEN (
        SELECT true FROM @.outbox o WHERE o.id = i.settles
      ) THEN 5 ELSE 4 END
      WHEN i.shape = 0 AND (
        l.chain_bytes + length(i.delta) > $27
        OR l.version > 0 AND l.chain_bytes + length(i.delta) - l.base_bytes > greatest($29 * l.base_bytes, $28)
      ) THEN 7
      ELSE 0
    END AS verdict
  FROM input i LEFT JOIN locked l ON l.n = i.n LEFT JOIN handled h ON h.n = i.n
),
passed AS MATERIALIZED (SELECT n, tenant, turn, id, version, seq, is_whole FROM judged WHERE verdict = 0),
moved AS (
  UPDATE @.threads t SET
    version = t.version + 1,
    tip = i.commit_id,
    base = CASE WHEN p.is_whole THEN t.version + 1 ELSE t.base END,
    base_bytes = CASE WHEN p.is_whole THEN length(i.delta) ELSE t.base_bytes END,
    chain_bytes = CASE WHEN p.is_whole THEN length(i.delta) ELSE t.chain_bytes + length(i.delta) END
  FROM passed p JOIN input i ON i.n = p.n
  WHERE t.id = p.id
  RETURNING p.n, t.base
),
checkpoint AS (
  INSERT INTO @.checkpoints (tenant, thread, version, commit_id, incarnation, counter, codec, schema_version,
    stamp_time, stamp_node, written, base, tags, delta)
  SELECT i.tenant, p.id, p.version + 1, i.commit_id, i.incarnation, i.counter, i.codec, i.schema_version,
    i.stamp_time, i.stamp_node, i.written, m.base, i.tags, i.delta
  FROM passed p JOIN input i ON i.n = p.n JOIN moved m ON m.n = p.n
),
sent AS (
  INSERT INTO @.outbox (id, tenant, thread, attempts, message)
  SELECT o.id, i.tenant, p.id, 0, o.message
  FROM unnest($24::bigint[], $25::uuid[], $26::bytea[]) WITH ORDINALITY AS o(n, id, message, place)
    JOIN passed p ON p.n = o.n JOIN input i ON i.n = o.n
  ORDER BY o.place
  ON CONFLICT (id) DO NOTHING
),
settled AS (DELETE FROM @.outbox o USING passed p WHERE o.seq = p.seq),
recorded AS (
  INSERT INTO @.outcomes (tenant, thread, key, request_hash, retention, until, reply)
  SELECT i.tenant, p.id, i.outcome, i.request_hash, i.retention, i.until, i.reply
  FROM passed p JOIN input i ON i.n = p.n WHERE i.outcome IS NOT NULL
  ON CONFLICT (tenant, thread, key) DO UPDATE SET request_hash = excluded.request_hash,
    retention = excluded.retention, until = excluded.until, reply = excluded.reply
),
ended AS (
  DELETE FROM @.steps s USING passed p
  WHERE p.turn IS NOT NULL AND s.tenant = p.tenant AND s.thread = p.id AND s.turn = p.turn
)
SELECT n, verdict, id, version, tip FROM judged
