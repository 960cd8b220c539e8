-- Keeps forks from sharing what is removed of threads, by their numbers, meanwhile. In their order, so that nobody who
-- waits for one holds another who waits.
SELECT pg_advisory_xact_lock_shared(hashtextextended('@.' || n, 0))
FROM (SELECT DISTINCT u.n FROM unnest($1::bigint[]) AS u(n) ORDER BY u.n) AS o
