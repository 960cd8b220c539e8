SELECT o.seq, o.id, o.message, o.attempts, t.tenant, t.type, t.key
FROM @.outbox o JOIN @.threads t ON t.id = o.thread
WHERE o.seq > $1 ORDER BY o.seq LIMIT $2
