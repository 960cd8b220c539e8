-- The rows of budgets that are named for the first time.
INSERT INTO @.budgets (name, ends)
SELECT name, ends FROM unnest($1::text[], $2::bigint[]) AS i(name, ends)
ORDER BY name
ON CONFLICT (name) DO NOTHING
