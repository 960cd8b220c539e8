-- Of holders whose lease has ended all that is set aside counts as spent. One that another connection has locked, or that has
-- changed since the statement began, is left for the next time.
WITH ended AS MATERIALIZED (
  SELECT counter, exchanges FROM @.budget_holders
  WHERE expires <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  ORDER BY counter
  FOR UPDATE SKIP LOCKED
),
dead AS MATERIALIZED (
  SELECT e.counter FROM ended e JOIN @.budget_holders s ON s.counter = e.counter AND s.exchanges = e.exchanges
),
rests AS MATERIALIZED (
  SELECT budget, sum(granted_tokens - spent_tokens) AS tokens, sum(granted_nanos - spent_nanos) AS nanos
  FROM @.budget_grants WHERE holder IN (SELECT counter FROM dead)
  GROUP BY budget
),
locked AS MATERIALIZED (
  SELECT * FROM @.budgets b
  WHERE b.id IN (SELECT budget FROM rests WHERE tokens > 0 OR nanos > 0)
  ORDER BY b.id
  FOR NO KEY UPDATE
),
booked AS (
  UPDATE @.budgets b SET
    spent_tokens = least(l.spent_tokens + r.tokens, m.most), spent_nanos = least(l.spent_nanos + r.nanos, m.most),
    forfeited_tokens = least(l.forfeited_tokens + r.tokens, m.most),
    forfeited_nanos = least(l.forfeited_nanos + r.nanos, m.most),
    reserved_tokens = greatest(l.reserved_tokens - r.tokens, 0), reserved_nanos = greatest(l.reserved_nanos - r.nanos, 0)
  FROM locked l JOIN rests r ON r.budget = l.id, (VALUES (9223372036854775807::numeric)) AS m(most)
  WHERE b.id = l.id
),
taken AS (DELETE FROM @.budget_grants WHERE holder IN (SELECT counter FROM dead))
DELETE FROM @.budget_holders WHERE counter IN (SELECT counter FROM dead)
