UPDATE @.schedules SET next_run_at = $2 WHERE id = ANY ($1)
