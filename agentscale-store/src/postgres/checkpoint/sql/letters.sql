SELECT seq, id, message, attempts, tenant, type, key, cause FROM @.dead_letters
WHERE seq > $1 ORDER BY seq LIMIT $2
