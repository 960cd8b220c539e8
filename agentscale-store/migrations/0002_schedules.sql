-- Schedules. `next_run_at` is null where there is none, as of those that are paused; `topic` is that of events. Times are
-- microseconds since 1970.
CREATE TABLE schedules (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  definition TEXT NOT NULL,
  payload BLOB NOT NULL,
  topic TEXT,
  paused INTEGER NOT NULL,
  next_run_at INTEGER,
  last_fired_at INTEGER,
  fired INTEGER NOT NULL,
  late INTEGER NOT NULL,
  missed INTEGER NOT NULL,
  overlapped INTEGER NOT NULL
);
CREATE UNIQUE INDEX schedules_name ON schedules (tenant, name);
CREATE INDEX schedules_due ON schedules (next_run_at) WHERE next_run_at IS NOT NULL;
CREATE INDEX schedules_topic ON schedules (tenant, topic) WHERE topic IS NOT NULL;

-- What schedules did. `outcome` is 0 enqueued, 1 overlapped, 2 missed.
CREATE TABLE schedule_executions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  fired_at INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  job BLOB,
  missed INTEGER NOT NULL
);
CREATE INDEX schedule_executions_name ON schedule_executions (tenant, name, seq);
CREATE INDEX schedule_executions_age ON schedule_executions (fired_at);

-- The last revision or epoch that was taken: none comes again.
CREATE TABLE schedule_numbers (
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL
);
INSERT INTO schedule_numbers VALUES (0, 0);
