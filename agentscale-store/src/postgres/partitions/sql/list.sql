-- Months and what was swept from the default, by name, and whether each is attached.
SELECT c.relname::text, EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = rtrim('@.', '.') AND c.relkind IN ('r', 'p')
  AND c.relname ~ ('^' || $1 || '_([0-9]{4}_[0-9]{2}|late_[0-9]+)$')
ORDER BY c.relname
