-- Keeps what others remove of threads, by their numbers, from what is shared of them meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('@.' || n, 0)) FROM unnest($1::bigint[]) AS n
