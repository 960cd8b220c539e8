-- The tables that hold the rows of one, and how many blocks each has.
SELECT c.relname::text, pg_relation_size(c.oid) / current_setting('block_size')::bigint
FROM (
  SELECT relid::oid AS oid FROM pg_partition_tree(to_regclass('@.' || $1))
  UNION SELECT to_regclass('@.' || $1)::oid
) t JOIN pg_class c ON c.oid = t.oid
WHERE c.relkind = 'r'
ORDER BY c.relname
