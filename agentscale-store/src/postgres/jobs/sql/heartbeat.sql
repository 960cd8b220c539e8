UPDATE @.jobs j SET at = b.now + $4
FROM (
  SELECT *, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
  FROM unnest($1::smallint[], $2::uuid[], $3::bigint[]) b(segment, id, seq)
) b
WHERE j.segment = b.segment AND j.id = ANY (ARRAY[b.id]) AND j.seq = b.seq AND j.at > b.now
RETURNING j.id, j.seq, j.cancel
