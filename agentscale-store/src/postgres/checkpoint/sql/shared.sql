SELECT source, first, last FROM @.shares WHERE source = ANY($1)
