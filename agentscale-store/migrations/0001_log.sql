-- One row for each commit that was acknowledged and is not in the shared store yet, in the order of their acknowledgement,
-- and for each that never gets there, as another owner took its thread over (orphaned).
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  expected INTEGER NOT NULL,
  commit_id BLOB NOT NULL,
  delta BLOB NOT NULL,
  rest TEXT NOT NULL,
  payload BLOB NOT NULL,
  orphaned INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX orphans ON entries (seq) WHERE orphaned = 1;
