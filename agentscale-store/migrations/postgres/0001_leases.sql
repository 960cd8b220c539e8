-- `@` stands for the schema. One row for each lease that was ever granted. One that nobody holds keeps its row: the
-- tombstone holds the epoch, and the id of the grant, so that a request that comes late is not granted anew. Times are
-- microseconds of the server's clock since 1970; `seen` is that of the last operation.
CREATE TABLE @.leases (
  tenant text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  incarnation bigint NOT NULL DEFAULT 0,
  counter bigint NOT NULL,
  acquire_id uuid NOT NULL,
  holder text,
  note text,
  since bigint,
  ttl bigint,
  until bigint,
  seen bigint NOT NULL,
  PRIMARY KEY (tenant, kind, name)
) WITH (fillfactor = 50);
