INSERT INTO @.slot_members (expires, seen)
SELECT now + $1, now FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) c
RETURNING incarnation, counter
