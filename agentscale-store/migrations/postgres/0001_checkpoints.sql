-- `@` stands for the schema. Text is compared by bytes, as the SDK compares names.

-- Numbers lines of checkpoints. A thread that is deleted gets another number, so that no version of a number is ever
-- used twice.
CREATE SEQUENCE @.thread_numbers;

-- One row for each agent. A deleted thread keeps its row: the tombstone holds the epoch. `tip` is the id of the newest
-- commit; its deltas begin at version `base`.
CREATE TABLE @.threads (
  tenant text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  id bigint NOT NULL UNIQUE DEFAULT nextval('@.thread_numbers'),
  incarnation bigint NOT NULL DEFAULT 0,
  counter bigint NOT NULL DEFAULT 0,
  deleted boolean NOT NULL DEFAULT false,
  version bigint NOT NULL DEFAULT 0,
  tip uuid,
  base bigint NOT NULL DEFAULT 0,
  base_bytes bigint NOT NULL DEFAULT 0,
  chain_bytes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, type, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- `delta` holds what the commit wrote; the state is the fold of the deltas from `base` to `version`.
-- A ghost was pruned, and stays while a kept checkpoint builds on it.
CREATE TABLE @.checkpoints (
  tenant text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  version bigint NOT NULL,
  commit_id uuid NOT NULL,
  incarnation bigint NOT NULL,
  counter bigint NOT NULL,
  codec text NOT NULL,
  schema_version bigint NOT NULL,
  stamp_time bigint NOT NULL,
  stamp_node bigint NOT NULL,
  written bigint NOT NULL,
  base bigint NOT NULL,
  ghost boolean NOT NULL DEFAULT false,
  tags text,
  origin text,
  delta bytea NOT NULL,
  PRIMARY KEY (tenant, thread, version)
);
-- Large deltas are kept as they are: what compresses well is worth it only where the disk is the limit.
ALTER TABLE @.checkpoints ALTER COLUMN delta SET STORAGE EXTERNAL;

CREATE TABLE @.outcomes (
  tenant text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  request_hash bytea NOT NULL,
  retention bigint NOT NULL,
  until bigint NOT NULL,
  reply bytea,
  PRIMARY KEY (tenant, thread, key)
);
CREATE INDEX outcomes_by_end ON @.outcomes (until);

CREATE TABLE @.steps (
  tenant text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  turn text COLLATE "C" NOT NULL,
  step bigint NOT NULL,
  request_hash bytea NOT NULL,
  result bytea NOT NULL,
  PRIMARY KEY (tenant, thread, turn, step)
);

CREATE TABLE @.outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  tenant text COLLATE "C" NOT NULL,
  thread bigint NOT NULL,
  attempts bigint NOT NULL,
  message bytea NOT NULL
);
CREATE INDEX outbox_by_thread ON @.outbox (tenant, thread);

-- The sender is kept by name: it need not be a thread of this store. The cause is bytes, as an error's text may hold
-- what text of PostgreSQL cannot.
CREATE TABLE @.dead_letters (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  tenant text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  attempts bigint NOT NULL,
  cause bytea NOT NULL,
  message bytea NOT NULL
);

-- Numbers of deleted threads whose rows are still to be removed.
CREATE TABLE @.retired (
  thread bigint PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL
);
