-- All slots of a member go back, and it is no more. Locks as an exchange does.
WITH member AS MATERIALIZED (
  SELECT counter, expires, exchanges FROM @.slot_members
  WHERE incarnation = $1 AND counter = $2
  FOR UPDATE
),
judged AS MATERIALIZED (
  SELECT counter, CASE
    WHEN expires <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint THEN 1
    WHEN exchanges <> (SELECT s.exchanges FROM @.slot_members s WHERE s.counter = $2) THEN 3
    ELSE 0
  END AS verdict
  FROM member
),
gone AS MATERIALIZED (SELECT counter FROM judged WHERE verdict = 0),
holds AS MATERIALIZED (SELECT account, held FROM @.slot_holds WHERE member IN (SELECT counter FROM gone)),
locked AS MATERIALIZED (
  SELECT a.id, a.held FROM @.slot_accounts a
  WHERE a.id IN (SELECT account FROM holds WHERE held > 0)
  ORDER BY a.id
  FOR NO KEY UPDATE
),
freed AS (
  UPDATE @.slot_accounts a SET held = greatest(l.held - h.held, 0)
  FROM locked l JOIN holds h ON h.account = l.id WHERE a.id = l.id
),
taken AS (DELETE FROM @.slot_holds WHERE member IN (SELECT counter FROM gone)),
removed AS (DELETE FROM @.slot_members WHERE counter IN (SELECT counter FROM gone))
SELECT verdict FROM judged
