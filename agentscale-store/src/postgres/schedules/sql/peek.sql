-- Now, and when the first schedule is due.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
  (SELECT min(next_run_at) FROM @.schedules WHERE next_run_at IS NOT NULL)
