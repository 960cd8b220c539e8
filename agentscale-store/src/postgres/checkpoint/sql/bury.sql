WITH taken AS (DELETE FROM @.outbox WHERE id = $1 RETURNING id)
INSERT INTO @.dead_letters (id, tenant, type, key, attempts, cause, message)
SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT $8 OR EXISTS (SELECT FROM taken)
ON CONFLICT (id) DO NOTHING
