SELECT @.jobs_tend($1, $2)
