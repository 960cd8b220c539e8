-- The slots of members whose lease has ended are free. One that another connection has locked, or that has changed since the
-- statement began, is left for the next time. After a step back of the clock no lease has more than its full time to live.
WITH clock AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now),
ended AS MATERIALIZED (
  SELECT counter, exchanges FROM @.slot_members
  WHERE expires <= (SELECT now FROM clock)
  ORDER BY counter
  FOR UPDATE SKIP LOCKED
),
dead AS MATERIALIZED (
  SELECT e.counter FROM ended e JOIN @.slot_members s ON s.counter = e.counter AND s.exchanges = e.exchanges
),
holds AS MATERIALIZED (
  SELECT account, sum(held)::bigint AS held FROM @.slot_holds WHERE member IN (SELECT counter FROM dead) GROUP BY account
),
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
taken AS (DELETE FROM @.slot_holds WHERE member IN (SELECT counter FROM dead)),
shortened AS (
  UPDATE @.slot_members m SET expires = c.now + m.expires - m.seen, seen = c.now
  FROM clock c WHERE m.seen > c.now AND m.expires > c.now
)
DELETE FROM @.slot_members WHERE counter IN (SELECT counter FROM dead)
