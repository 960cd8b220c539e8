SELECT seq, incarnation, counter, run_at, fired_at, outcome, job, missed
FROM @.schedule_executions WHERE tenant = $1 AND name = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4
