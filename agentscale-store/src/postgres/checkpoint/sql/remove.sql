DELETE FROM @.checkpoints c USING unnest($1::bigint[], $2::bigint[]) AS g(thread, version), @.threads t
WHERE t.id = g.thread AND c.tenant = t.tenant AND c.thread = g.thread AND c.version = g.version
