-- Taken where it is free, over, or one's own.
INSERT INTO @.partition_claims AS t (name, holder, until)
SELECT $1, $2, c.now + $3
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE t.holder = excluded.holder OR t.until < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
RETURNING true
