-- What is set aside for holders whose lease has ended counts as spent, though nobody has dissolved them yet.
SELECT
  least(coalesce(b.spent_tokens, 0) + d.tokens, m.most)::bigint, least(coalesce(b.spent_nanos, 0) + d.nanos, m.most)::bigint,
  greatest(coalesce(b.reserved_tokens, 0) - d.tokens, 0)::bigint,
  greatest(coalesce(b.reserved_nanos, 0) - d.nanos, 0)::bigint,
  least(coalesce(b.forfeited_tokens, 0) + d.tokens, m.most)::bigint,
  least(coalesce(b.forfeited_nanos, 0) + d.nanos, m.most)::bigint
FROM unnest($1::text[]) WITH ORDINALITY AS i(name, n)
  LEFT JOIN @.budgets b ON b.name = i.name
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(g.granted_tokens - g.spent_tokens), 0) AS tokens,
      coalesce(sum(g.granted_nanos - g.spent_nanos), 0) AS nanos
    FROM @.budget_holders h JOIN @.budget_grants g ON g.holder = h.counter
    WHERE g.budget = b.id AND h.expires <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  ) d
  CROSS JOIN (VALUES (9223372036854775807::numeric)) AS m(most)
ORDER BY i.n
