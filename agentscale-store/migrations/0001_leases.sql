-- One row for each lease that was ever granted. One that nobody holds keeps its row: the tombstone holds the epoch, and
-- the id of the grant, so that a request that comes late is not granted anew. Times are microseconds since 1970.
CREATE TABLE leases (
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  acquire_id BLOB NOT NULL,
  holder TEXT,
  note TEXT,
  since INTEGER,
  ttl INTEGER,
  until INTEGER,
  PRIMARY KEY (tenant, kind, name)
) WITHOUT ROWID;
