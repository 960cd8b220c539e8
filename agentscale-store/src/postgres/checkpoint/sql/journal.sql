SELECT s.turn, s.step, s.request_hash, s.result
FROM @.threads t JOIN @.steps s ON s.tenant = t.tenant AND s.thread = t.id
WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3
ORDER BY s.turn, s.step
