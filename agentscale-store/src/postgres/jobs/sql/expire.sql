DELETE FROM @.jobs_outcomes WHERE (tenant, key) IN (
  SELECT tenant, key FROM @.jobs_outcomes WHERE expires <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  ORDER BY expires LIMIT $1 FOR UPDATE SKIP LOCKED
) RETURNING 1
