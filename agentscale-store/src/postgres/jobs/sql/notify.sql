SELECT pg_notify($1, queue) FROM unnest($2::text[]) queue
