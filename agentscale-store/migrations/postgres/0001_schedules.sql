-- `@` stands for the schema. Times are microseconds of the server's clock since 1970. Revisions and epochs are taken from one
-- sequence, so that none comes again.
CREATE SEQUENCE @.schedule_numbers;

-- `next_run_at` is null where there is none, as of those that are paused; `topic` is that of events.
CREATE TABLE @.schedules (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  incarnation bigint NOT NULL DEFAULT 0,
  counter bigint NOT NULL,
  definition text NOT NULL,
  payload bytea NOT NULL,
  topic text COLLATE "C",
  paused boolean NOT NULL,
  next_run_at bigint,
  last_fired_at bigint,
  fired bigint NOT NULL DEFAULT 0,
  late bigint NOT NULL DEFAULT 0,
  missed bigint NOT NULL DEFAULT 0,
  overlapped bigint NOT NULL DEFAULT 0,
  UNIQUE (tenant, name)
) WITH (fillfactor = 70);
CREATE INDEX schedules_due ON @.schedules (next_run_at) WHERE next_run_at IS NOT NULL;
CREATE INDEX schedules_topic ON @.schedules (tenant, topic) WHERE topic IS NOT NULL AND NOT paused;

-- What schedules did, by month. `outcome` is 0 enqueued, 1 overlapped, 2 missed.
CREATE SEQUENCE @.schedule_executions_seq;
CREATE TABLE @.schedule_executions (
  seq bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  incarnation bigint NOT NULL,
  counter bigint NOT NULL,
  run_at bigint NOT NULL,
  fired_at bigint NOT NULL,
  outcome smallint NOT NULL,
  job uuid,
  missed bigint NOT NULL,
  PRIMARY KEY (seq, fired_at)
) PARTITION BY RANGE (fired_at);
CREATE INDEX schedule_executions_name ON @.schedule_executions (tenant, name, seq);
CREATE TABLE @.schedule_executions_default PARTITION OF @.schedule_executions DEFAULT;
