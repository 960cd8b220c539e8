-- Judges and writes steps of different threads, all that pass in one transaction.
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
    WITH ORDINALITY AS i(tenant, type, key, incarnation, counter, turn, n)
),
step AS MATERIALIZED (
  SELECT * FROM unnest($7::bigint[], $8::bigint[], $9::bytea[], $10::bytea[])
    WITH ORDINALITY AS s(n, step, request_hash, result, place)
),
locked AS MATERIALIZED (
  SELECT i.n, t.id, t.incarnation, t.counter
  FROM input i JOIN @.threads t ON t.tenant = i.tenant AND t.type = i.type AND t.key = i.key
  FOR NO KEY UPDATE OF t SKIP LOCKED
),
-- What is unique is looked up as a value: the planner may answer `EXISTS` by reading the whole table.
judged AS MATERIALIZED (
  SELECT i.n, l.id, differs.step,
    CASE
      WHEN l.id IS NULL THEN CASE WHEN (
        SELECT true FROM @.threads t WHERE t.tenant = i.tenant AND t.type = i.type AND t.key = i.key
      ) THEN 5 ELSE 1 END
      WHEN l.incarnation <> i.incarnation OR l.counter <> i.counter THEN 1
      WHEN differs.step IS NOT NULL THEN 3
      ELSE 0
    END AS verdict
  FROM input i LEFT JOIN locked l ON l.n = i.n LEFT JOIN LATERAL (
    SELECT min(s.step) AS step FROM step s JOIN @.steps kept
      ON kept.tenant = i.tenant AND kept.thread = l.id AND kept.turn = i.turn AND kept.step = s.step
    WHERE s.n = i.n AND kept.request_hash <> s.request_hash
  ) differs ON true
),
appended AS (
  INSERT INTO @.steps (tenant, thread, turn, step, request_hash, result)
  SELECT i.tenant, j.id, i.turn, s.step, s.request_hash, s.result
  FROM judged j JOIN input i ON i.n = j.n JOIN step s ON s.n = j.n WHERE j.verdict = 0 ORDER BY s.place
  ON CONFLICT (tenant, thread, turn, step) DO NOTHING
)
SELECT n, verdict, step FROM judged
