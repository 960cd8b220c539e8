-- What is set aside for a holder and not spent goes back, and the holder is no more. Locks as an exchange does.
WITH holder AS MATERIALIZED (
  SELECT counter, expires, exchanges FROM @.budget_holders
  WHERE incarnation = $1 AND counter = $2
  FOR UPDATE
),
judged AS MATERIALIZED (
  SELECT counter, CASE
    WHEN expires <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint THEN 1
    WHEN exchanges <> (SELECT s.exchanges FROM @.budget_holders s WHERE s.counter = $2) THEN 3
    ELSE 0
  END AS verdict
  FROM holder
),
gone AS MATERIALIZED (SELECT counter FROM judged WHERE verdict = 0),
rests AS MATERIALIZED (
  SELECT budget, granted_tokens - spent_tokens AS tokens, granted_nanos - spent_nanos AS nanos
  FROM @.budget_grants WHERE holder IN (SELECT counter FROM gone)
),
locked AS MATERIALIZED (
  SELECT b.id, b.reserved_tokens, b.reserved_nanos FROM @.budgets b
  WHERE b.id IN (SELECT budget FROM rests WHERE tokens > 0 OR nanos > 0)
  ORDER BY b.id
  FOR NO KEY UPDATE
),
freed AS (
  UPDATE @.budgets b SET reserved_tokens = greatest(l.reserved_tokens - r.tokens, 0),
    reserved_nanos = greatest(l.reserved_nanos - r.nanos, 0)
  FROM locked l JOIN rests r ON r.budget = l.id WHERE b.id = l.id
),
taken AS (DELETE FROM @.budget_grants WHERE holder IN (SELECT counter FROM gone)),
removed AS (DELETE FROM @.budget_holders WHERE counter IN (SELECT counter FROM gone))
SELECT verdict FROM judged
