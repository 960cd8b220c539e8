SELECT job, state, body FROM @.jobs_outcomes
WHERE tenant = $1 AND key = $2 AND (expires IS NULL OR expires > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
