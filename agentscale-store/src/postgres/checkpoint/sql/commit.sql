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
  SELECT i.n, t.id, t.incarnation, t.counter, t.version, t.tip, t.base, t.base_bytes, t.chain_bytes
  FROM input i JOIN @.threads t ON t.tenant = i.tenant AND t.type = i.type AND t.key = i.key
  FOR NO KEY UPDATE OF t SKIP LOCKED
),
handled AS MATERIALIZED (
  SELECT i.n, o.seq FROM input i JOIN @.outbox o ON o.id = i.settles
  WHERE i.settles IS NOT NULL
  FOR UPDATE OF o SKIP LOCKED
),
-- All that is written is taken from here by one look at each row: to join them again would compare each with each, as the
-- planner thinks of few. What is unique is looked up as a value: it may answer `EXISTS` by reading the whole table.
judged AS MATERIALIZED (
  SELECT i.*, l.id, l.version, l.tip, h.seq, i.shape > 0 OR l.version = 0 AS is_whole, l.base, l.base_bytes, l.chain_bytes,
    CASE
      WHEN l.id IS NULL THEN CASE WHEN (
        SELECT true FROM @.threads t WHERE t.tenant = i.tenant AND t.type = i.type AND t.key = i.key
      ) THEN 5 ELSE 1 END
      WHEN l.incarnation <> i.incarnation OR l.counter <> i.counter THEN 1
      WHEN l.version <> i.expected THEN 2
      WHEN l.tip <> i.guard THEN 6
      WHEN i.outcome IS NOT NULL AND (
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
moved AS (
  UPDATE @.threads t SET
    version = j.version + 1,
    tip = j.commit_id,
    base = CASE WHEN j.is_whole THEN j.version + 1 ELSE j.base END,
    base_bytes = CASE WHEN j.is_whole THEN length(j.delta) ELSE j.base_bytes END,
    chain_bytes = CASE WHEN j.is_whole THEN length(j.delta) ELSE j.chain_bytes + length(j.delta) END
  FROM judged j WHERE j.verdict = 0 AND t.id = j.id
),
checkpoint AS (
  INSERT INTO @.checkpoints (tenant, thread, version, commit_id, incarnation, counter, codec, schema_version,
    stamp_time, stamp_node, written, base, tags, delta)
  SELECT tenant, id, version + 1, commit_id, incarnation, counter, codec, schema_version,
    stamp_time, stamp_node, written, CASE WHEN is_whole THEN version + 1 ELSE base END, tags, delta
  FROM judged WHERE verdict = 0
),
sent AS (
  INSERT INTO @.outbox (id, tenant, thread, attempts, message)
  SELECT o.id, j.tenant, j.id, 0, o.message
  FROM unnest($24::bigint[], $25::uuid[], $26::bytea[]) WITH ORDINALITY AS o(n, id, message, place)
    JOIN judged j ON j.n = o.n AND j.verdict = 0
  ORDER BY o.place
  ON CONFLICT (id) DO NOTHING
),
settled AS (DELETE FROM @.outbox o USING judged j WHERE j.verdict = 0 AND j.seq IS NOT NULL AND o.seq = j.seq),
recorded AS (
  INSERT INTO @.outcomes (tenant, thread, key, request_hash, retention, until, reply)
  SELECT tenant, id, outcome, request_hash, retention, until, reply
  FROM judged WHERE verdict = 0 AND outcome IS NOT NULL
  ON CONFLICT (tenant, thread, key) DO UPDATE SET request_hash = excluded.request_hash,
    retention = excluded.retention, until = excluded.until, reply = excluded.reply
),
ended AS (
  DELETE FROM @.steps s USING judged j
  WHERE j.verdict = 0 AND j.turn IS NOT NULL AND s.tenant = j.tenant AND s.thread = j.id AND s.turn = j.turn
)
SELECT n, verdict, id, version, tip FROM judged
