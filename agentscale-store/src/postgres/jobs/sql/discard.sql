DELETE FROM @.jobs j WHERE j.segment = -2 AND j.tenant = $1 AND j.id = ANY ($2) RETURNING j.id
