-- `xmax` is zero for a row that was just inserted.
INSERT INTO @.threads AS t (tenant, type, key, counter) VALUES ($1, $2, $3, 1)
ON CONFLICT (tenant, type, key) DO UPDATE SET counter = t.counter + 1, deleted = false
RETURNING t.incarnation, t.counter, t.version, t.tip, t.xmax = 0
