SELECT id FROM @.threads WHERE id > $1 ORDER BY id LIMIT $2
