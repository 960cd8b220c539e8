-- Locks the member and then the accounts, by their ids, so that exchanges wait for each other in one order. How many are held is
-- read under the lock; who else waits is as the statement began, which can cost a turn and no more.
WITH member AS MATERIALIZED (
  SELECT counter, sequence, expires, exchanges FROM @.slot_members
  WHERE incarnation = $1 AND counter = $2
  FOR NO KEY UPDATE
),
-- Holds are read as the statement began: where the member has changed since, they may have changed too, and all is asked again.
judged AS MATERIALIZED (
  SELECT m.counter, m.sequence, m.now, CASE
    WHEN m.expires <= m.now THEN 1
    WHEN $3 <= m.sequence THEN 2
    WHEN m.exchanges <> (SELECT s.exchanges FROM @.slot_members s WHERE s.counter = $2) THEN 3
    ELSE 0
  END AS verdict
  FROM (SELECT *, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now FROM member) m
),
input AS MATERIALIZED (
  SELECT * FROM unnest($6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[])
    WITH ORDINALITY AS i(tenant, account, slots, used, wanted, n)
),
known AS MATERIALIZED (
  SELECT i.n, i.slots, i.used, i.wanted, a.id, a.held AS seen_held, coalesce(h.held, 0) AS had,
    coalesce(h.wanted, 0) AS had_wanted, CASE WHEN h.wanted > h.held THEN h.since END AS since
  FROM input i
    JOIN @.slot_accounts a ON a.tenant = i.tenant AND a.account = i.account
    LEFT JOIN @.slot_holds h ON h.account = a.id AND h.member = $2
  WHERE (SELECT verdict FROM judged) = 0
),
-- Who waits on where nothing is free changes nothing, and takes no lock.
moving AS MATERIALIZED (
  SELECT * FROM known WHERE NOT (seen_held >= slots AND used >= had AND wanted = had_wanted)
),
locked AS MATERIALIZED (
  SELECT a.id, a.held FROM @.slot_accounts a
  WHERE a.id IN (SELECT id FROM moving)
  ORDER BY a.id
  FOR NO KEY UPDATE
),
-- There is a row where all goes through.
ready AS MATERIALIZED (
  SELECT * FROM judged
  WHERE verdict = 0 AND (SELECT count(*) FROM known) = cardinality($6)
    AND (SELECT count(*) FROM locked) = (SELECT count(*) FROM moving)
),
counted AS (
  SELECT m.n, m.id, m.wanted, m.had, l.held - m.had AS others, least(m.had, m.used) AS kept,
    greatest(m.slots - (l.held - m.had) - least(m.had, m.used), 0) AS free,
    coalesce(m.since, r.now) AS since, r.now, w.waiting, w.ahead
  FROM ready r CROSS JOIN moving m
    JOIN locked l ON l.id = m.id
    CROSS JOIN LATERAL (
      SELECT count(*) AS waiting,
        count(*) FILTER (WHERE (h.since, h.member) < (coalesce(m.since, r.now), $2)) AS ahead
      FROM @.slot_holds h JOIN @.slot_members o ON o.counter = h.member
      WHERE h.account = m.id AND h.member <> $2 AND h.wanted > h.held AND o.seen > r.now - $5
    ) w
),
decided AS MATERIALIZED (
  SELECT *, least(
    CASE WHEN waiting = 0 THEN free ELSE greatest(free / (waiting + 1), CASE WHEN ahead < free THEN 1 ELSE 0 END) END,
    wanted - kept
  ) AS taken
  FROM counted
),
summed AS (
  UPDATE @.slot_accounts a SET held = d.others + d.kept + d.taken
  FROM decided d WHERE a.id = d.id AND d.kept + d.taken <> d.had
),
held AS (
  INSERT INTO @.slot_holds (account, member, held, wanted, since)
  SELECT id, $2, kept + taken, wanted, CASE WHEN taken > 0 THEN now ELSE since END FROM decided WHERE wanted > 0
  ON CONFLICT (account, member) DO UPDATE
    SET held = excluded.held, wanted = excluded.wanted, since = excluded.since
),
gone AS (
  DELETE FROM @.slot_holds h USING decided d WHERE d.wanted = 0 AND h.account = d.id AND h.member = $2
),
renewed AS (
  UPDATE @.slot_members m SET sequence = $3, expires = r.now + $4, seen = r.now, exchanges = m.exchanges + 1
  FROM ready r WHERE m.counter = r.counter
)
SELECT
  CASE
    WHEN j.verdict = 0 AND (SELECT count(*) FROM known) < cardinality($6) THEN 4
    WHEN j.verdict = 0 AND NOT EXISTS (SELECT FROM ready) THEN 3
    ELSE j.verdict
  END,
  j.sequence,
  EXISTS (SELECT FROM @.slot_members m WHERE m.expires <= j.now OR m.seen > j.now),
  CASE WHEN d.n IS NULL THEN k.had ELSE d.kept + d.taken END,
  CASE WHEN d.n IS NULL THEN k.seen_held ELSE d.others + d.kept + d.taken END
FROM judged j LEFT JOIN known k ON true LEFT JOIN decided d ON d.n = k.n
ORDER BY k.n
