-- Without the slots of members whose lease has ended, though nobody has dissolved them yet.
SELECT coalesce((
  SELECT sum(h.held) FROM @.slot_holds h JOIN @.slot_members m ON m.counter = h.member
  WHERE h.account = a.id AND m.expires > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
), 0)::bigint
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS i(tenant, account, n)
  LEFT JOIN @.slot_accounts a ON a.tenant = i.tenant AND a.account = i.account
ORDER BY i.n
