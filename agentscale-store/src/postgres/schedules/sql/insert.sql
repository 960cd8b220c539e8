-- None where another one has made it meanwhile.
INSERT INTO @.schedules (tenant, name, revision, counter, definition, payload, topic, paused, next_run_at)
VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING id
