SELECT DISTINCT s.tenant, s.topic FROM @.schedules s
WHERE s.topic IS NOT NULL AND NOT s.paused AND (s.tenant, s.topic) > ($1, $2)
ORDER BY s.tenant, s.topic LIMIT $3
