-- Jobs that have not ended, and dead ones. `seq` is their age. `state` is 0 ready, 1 waiting, 2 running, 3 dead; `due` is
-- when a waiting one is ready and when the claim of a running one ends. Times are microseconds since 1970.
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  tenant TEXT NOT NULL,
  queue TEXT NOT NULL,
  kind TEXT NOT NULL,
  payload BLOB,
  priority INTEGER NOT NULL,
  state INTEGER NOT NULL,
  due INTEGER,
  ttl INTEGER,
  attempts INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  retry TEXT,
  timeout INTEGER,
  trace TEXT,
  unique_key TEXT,
  unique_until INTEGER,
  idempotency TEXT,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  worker BLOB,
  cancelled INTEGER NOT NULL,
  cause TEXT,
  enqueued INTEGER NOT NULL,
  letter INTEGER,
  died INTEGER
);
CREATE UNIQUE INDEX jobs_id ON jobs (id);
CREATE UNIQUE INDEX jobs_unique ON jobs (tenant, unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_ready ON jobs (queue, priority, seq) WHERE state = 0;
CREATE INDEX jobs_due ON jobs (due) WHERE due IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (letter) WHERE letter IS NOT NULL;

-- Large payloads stand apart, so that a heartbeat does not write them again.
CREATE TABLE payloads (
  seq INTEGER PRIMARY KEY,
  payload BLOB NOT NULL
);

-- What became of jobs with an idempotency key; `expires` is null until their end, `outcome` 0 completed, 1 dead, 2
-- cancelled.
CREATE TABLE outcomes (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  hash BLOB NOT NULL,
  id BLOB NOT NULL,
  retention INTEGER NOT NULL,
  expires INTEGER,
  outcome INTEGER,
  result BLOB,
  PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX outcomes_expires ON outcomes (expires) WHERE expires IS NOT NULL;

-- The last epoch that was taken, and the last dead letter. They outlive what they number.
CREATE TABLE numbers (
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  letter INTEGER NOT NULL
);
INSERT INTO numbers VALUES (0, 0, 0);
