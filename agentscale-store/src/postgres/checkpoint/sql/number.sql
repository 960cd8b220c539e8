SELECT id FROM @.threads WHERE tenant = $1 AND type = $2 AND key = $3
