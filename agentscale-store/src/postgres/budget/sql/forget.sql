-- Some budgets whose periods are long over and of which nothing is set aside.
WITH old AS MATERIALIZED (
  SELECT id FROM @.budgets
  WHERE ends < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1 AND reserved_tokens = 0 AND reserved_nanos = 0
  ORDER BY id
  LIMIT 1000
  FOR UPDATE SKIP LOCKED
),
taken AS (DELETE FROM @.budget_grants WHERE budget IN (SELECT id FROM old))
DELETE FROM @.budgets WHERE id IN (SELECT id FROM old)
