UPDATE @.schedules
SET revision = $2, definition = $3, payload = $4, topic = $5, paused = $6, next_run_at = $7
WHERE id = $1
RETURNING id
