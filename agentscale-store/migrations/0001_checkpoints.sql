-- One line of checkpoints for each agent. A deleted thread keeps its row: the tombstone holds the epoch.
CREATE TABLE threads (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  UNIQUE (tenant, type, key)
);

-- `delta` holds what the commit wrote; the state is the fold of the deltas from `base` to `version`.
-- A ghost was pruned, and stays while a kept checkpoint builds on it. No id is used twice: pruning lists rows before
-- the transactions that remove them.
CREATE TABLE checkpoints (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  thread INTEGER NOT NULL,
  version INTEGER NOT NULL,
  commit_id BLOB NOT NULL,
  incarnation INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  codec TEXT NOT NULL,
  schema_version INTEGER NOT NULL,
  stamp_time INTEGER NOT NULL,
  stamp_node INTEGER NOT NULL,
  written INTEGER NOT NULL,
  base INTEGER NOT NULL,
  base_bytes INTEGER NOT NULL,
  chain_bytes INTEGER NOT NULL,
  ghost INTEGER NOT NULL,
  tags TEXT,
  origin TEXT,
  delta BLOB NOT NULL
);
CREATE UNIQUE INDEX checkpoints_by_version ON checkpoints (thread, version);

CREATE TABLE outcomes (
  thread INTEGER NOT NULL,
  key TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  retention INTEGER NOT NULL,
  until INTEGER NOT NULL,
  reply BLOB,
  PRIMARY KEY (thread, key)
) WITHOUT ROWID;
CREATE INDEX outcomes_by_end ON outcomes (until);

CREATE TABLE steps (
  id INTEGER PRIMARY KEY,
  thread INTEGER NOT NULL,
  turn TEXT NOT NULL,
  step INTEGER NOT NULL,
  request_hash BLOB NOT NULL,
  result BLOB NOT NULL,
  UNIQUE (thread, turn, step)
);

CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  thread INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  message BLOB NOT NULL
);
CREATE INDEX outbox_by_thread ON outbox (thread);

-- The sender is kept by name: it need not be a thread of this store.
CREATE TABLE dead_letters (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  cause TEXT NOT NULL,
  message BLOB NOT NULL
);

-- Written where a commit asks for a sync and changes nothing else.
CREATE TABLE touched (id INTEGER PRIMARY KEY CHECK (id = 1), times INTEGER NOT NULL);
INSERT INTO touched VALUES (1, 0);
