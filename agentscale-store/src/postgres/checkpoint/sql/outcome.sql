SELECT o.request_hash, o.retention, o.reply
FROM @.threads t JOIN @.outcomes o ON o.tenant = t.tenant AND o.thread = t.id
WHERE t.tenant = $1 AND t.type = $2 AND t.key = $3 AND o.key = $4 AND o.until > $5
