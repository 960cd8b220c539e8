SELECT thread FROM @.retired WHERE thread > $1 ORDER BY thread LIMIT $2
