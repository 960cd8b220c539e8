-- Locks the holder and then the budgets, by their ids, so that exchanges wait for each other in one order. The arithmetic is
-- that of `Balance::exchange`, for tokens and for money alike. Sums that do not fit stay at the largest.
WITH holder AS MATERIALIZED (
  SELECT counter, sequence, expires, exchanges FROM @.budget_holders
  WHERE incarnation = $1 AND counter = $2
  FOR NO KEY UPDATE
),
-- Grants are read as the statement began: where the holder has changed since, they may have changed too, and all is asked again.
judged AS MATERIALIZED (
  SELECT h.counter, h.sequence, h.now, CASE
    WHEN h.expires <= h.now THEN 1
    WHEN $3 < h.sequence THEN 2
    WHEN h.exchanges <> (SELECT s.exchanges FROM @.budget_holders s WHERE s.counter = $2) THEN 3
    ELSE 0
  END AS verdict
  FROM (SELECT *, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now FROM holder) h
),
input AS MATERIALIZED (
  SELECT * FROM unnest(
    $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
    $14::bigint[]
  ) WITH ORDINALITY AS i(
    name, limit_tokens, limit_nanos, spent_tokens, spent_nanos, least_tokens, least_nanos, most_tokens, most_nanos, n
  )
),
locked AS MATERIALIZED (
  SELECT b.id, b.name, b.spent_tokens, b.spent_nanos, b.reserved_tokens, b.reserved_nanos
  FROM @.budgets b
  WHERE (SELECT verdict FROM judged) = 0 AND b.name = ANY ($6)
  ORDER BY b.id
  FOR NO KEY UPDATE
),
-- There is a row where all goes through.
ready AS MATERIALIZED (
  SELECT * FROM judged WHERE verdict = 0 AND (SELECT count(*) FROM locked) = cardinality($6)
),
-- Each line twice: its tokens, its money.
units AS (
  SELECT i.n, l.id, u.*
  FROM input i
    JOIN locked l ON l.name = i.name
    LEFT JOIN @.budget_grants g ON g.holder = $2 AND g.budget = l.id
    CROSS JOIN LATERAL (VALUES
      (true, i.limit_tokens, i.spent_tokens, i.least_tokens, i.most_tokens, l.spent_tokens, l.reserved_tokens,
        coalesce(g.granted_tokens, 0), coalesce(g.spent_tokens, 0)),
      (false, i.limit_nanos, i.spent_nanos, i.least_nanos, i.most_nanos, l.spent_nanos, l.reserved_nanos,
        coalesce(g.granted_nanos, 0), coalesce(g.spent_nanos, 0))
    ) AS u(is_tokens, allowed, told, needs, wants, all_spent, all_reserved, had, had_spent)
  WHERE EXISTS (SELECT FROM ready)
),
settled AS (
  SELECT *, greatest(told, had_spent) AS spent,
    greatest(least(had, wants), told, had_spent) AS kept,
    least(all_spent::numeric + greatest(told - had_spent, 0), 9223372036854775807)::bigint AS now_spent,
    greatest(all_reserved - (had - had_spent), 0) AS others
  FROM units
),
roomy AS (
  SELECT *, greatest(allowed::numeric - now_spent - others - (kept - spent), 0)::bigint AS room FROM settled
),
needy AS (
  SELECT *, greatest(needs - kept, 0) AS needed, least(greatest(needs - kept, 0), room) AS given FROM roomy
),
topped AS (
  SELECT *, CASE WHEN given < needed THEN 0 ELSE least(greatest(wants - kept - given, 0), (room - given) / 8) END AS extra
  FROM needy
),
decided AS (
  SELECT *, CASE WHEN allowed IS NULL THEN spent ELSE kept + given + extra END AS granted,
    CASE WHEN allowed IS NOT NULL THEN room - given - extra END AS rest
  FROM topped
),
reserving AS MATERIALIZED (
  SELECT *, least(others::numeric + granted - spent, 9223372036854775807)::bigint AS now_reserved FROM decided
),
lines AS MATERIALIZED (
  SELECT t.n, t.id,
    t.now_spent AS all_tokens, m.now_spent AS all_nanos, t.now_reserved AS reserved_tokens, m.now_reserved AS reserved_nanos,
    t.granted AS granted_tokens, m.granted AS granted_nanos, t.spent AS spent_tokens, m.spent AS spent_nanos,
    t.rest AS rest_tokens, m.rest AS rest_nanos,
    (t.now_spent, m.now_spent, t.now_reserved, m.now_reserved)
      <> (t.all_spent, m.all_spent, t.all_reserved, m.all_reserved) AS moves,
    (t.granted, m.granted, t.spent, m.spent) <> (t.had, m.had, t.had_spent, m.had_spent) AS grants
  FROM reserving t JOIN reserving m ON m.n = t.n AND NOT m.is_tokens
  WHERE t.is_tokens
),
moved AS (
  UPDATE @.budgets b SET spent_tokens = l.all_tokens, spent_nanos = l.all_nanos,
    reserved_tokens = l.reserved_tokens, reserved_nanos = l.reserved_nanos
  FROM lines l WHERE l.moves AND b.id = l.id
),
granted AS (
  INSERT INTO @.budget_grants (holder, budget, granted_tokens, granted_nanos, spent_tokens, spent_nanos)
  SELECT $2, id, granted_tokens, granted_nanos, spent_tokens, spent_nanos FROM lines WHERE grants
  ON CONFLICT (holder, budget) DO UPDATE SET granted_tokens = excluded.granted_tokens,
    granted_nanos = excluded.granted_nanos, spent_tokens = excluded.spent_tokens, spent_nanos = excluded.spent_nanos
),
renewed AS (
  UPDATE @.budget_holders h SET sequence = $3, expires = r.now + $4, exchanges = h.exchanges + 1
  FROM ready r WHERE h.counter = r.counter
),
recorded AS (
  INSERT INTO @.budget_usage AS u (tenant, account, day, model, calls, input_tokens, cached_input_tokens,
    cache_write_input_tokens, output_tokens, reasoning_tokens, cost, cut_calls, cut_tokens, cut_cost, unpriced_calls)
  SELECT tenant, account, day, model, c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11]
  FROM (
    SELECT i.tenant, i.account, i.day, i.model, ARRAY(
      SELECT ($19::bigint[])[(i.n - 1) * 11 + place] FROM generate_series(1, 11) AS place ORDER BY place
    ) AS c
    FROM unnest($15::text[], $16::text[], $17::bigint[], $18::text[]) WITH ORDINALITY AS i(tenant, account, day, model, n)
  ) i
  WHERE EXISTS (SELECT FROM ready r WHERE $3 > r.sequence)
  ORDER BY tenant, account, day, model
  ON CONFLICT (tenant, account, day, model) DO UPDATE SET (calls, input_tokens, cached_input_tokens,
    cache_write_input_tokens, output_tokens, reasoning_tokens, cost, cut_calls, cut_tokens, cut_cost, unpriced_calls) = (
    SELECT least(u.calls::numeric + excluded.calls, m.most), least(u.input_tokens::numeric + excluded.input_tokens, m.most),
      least(u.cached_input_tokens::numeric + excluded.cached_input_tokens, m.most),
      least(u.cache_write_input_tokens::numeric + excluded.cache_write_input_tokens, m.most),
      least(u.output_tokens::numeric + excluded.output_tokens, m.most),
      least(u.reasoning_tokens::numeric + excluded.reasoning_tokens, m.most),
      least(u.cost::numeric + excluded.cost, m.most), least(u.cut_calls::numeric + excluded.cut_calls, m.most),
      least(u.cut_tokens::numeric + excluded.cut_tokens, m.most), least(u.cut_cost::numeric + excluded.cut_cost, m.most),
      least(u.unpriced_calls::numeric + excluded.unpriced_calls, m.most)
    FROM (VALUES (9223372036854775807::numeric)) AS m(most)
  )
)
SELECT
  CASE WHEN j.verdict = 0 AND NOT EXISTS (SELECT FROM ready) THEN 4 ELSE j.verdict END,
  j.sequence,
  EXISTS (SELECT FROM @.budget_holders h WHERE h.expires <= j.now) OR EXISTS (
    SELECT FROM @.budgets b WHERE b.ends < j.now - $5 AND b.reserved_tokens = 0 AND b.reserved_nanos = 0
  ),
  l.granted_tokens, l.granted_nanos, l.rest_tokens, l.rest_nanos
FROM judged j LEFT JOIN lines l ON true
ORDER BY l.n
