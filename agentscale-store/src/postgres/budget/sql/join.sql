INSERT INTO @.budget_holders (expires)
VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $1)
RETURNING incarnation, counter
