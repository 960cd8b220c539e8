-- A row for each observation; `at`, `counter` and `node` are its stamp, `node` with its first bit turned round so that it
-- sorts. `tenant` is empty where there is none.
CREATE TABLE observations (
  seq INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  at INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  node INTEGER NOT NULL,
  writer INTEGER NOT NULL,
  number INTEGER NOT NULL,
  level INTEGER NOT NULL,
  name TEXT NOT NULL,
  trace TEXT,
  task TEXT,
  agent_type TEXT,
  agent_key TEXT,
  fields TEXT NOT NULL,
  truncated INTEGER NOT NULL,
  words TEXT NOT NULL
);
CREATE UNIQUE INDEX observations_key ON observations (tenant, at, counter, node, writer, number);
CREATE INDEX observations_at ON observations (at);
CREATE INDEX observations_trace ON observations (tenant, trace, at) WHERE trace IS NOT NULL;
CREATE INDEX observations_task ON observations (tenant, task, at) WHERE task IS NOT NULL;
CREATE INDEX observations_agent ON observations (tenant, agent_type, agent_key, at) WHERE agent_type IS NOT NULL;
CREATE VIRTUAL TABLE observation_words USING fts5 (
  words, content = 'observations', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 0'
);
CREATE TRIGGER observations_inserted AFTER INSERT ON observations BEGIN
  INSERT INTO observation_words (rowid, words) VALUES (new.seq, new.words);
END;
CREATE TRIGGER observations_deleted AFTER DELETE ON observations BEGIN
  INSERT INTO observation_words (observation_words, rowid, words) VALUES ('delete', old.seq, old.words);
END;

-- A month that is archived, as far as it was when it was read: its rows are being removed.
CREATE TABLE retiring (
  low INTEGER PRIMARY KEY,
  high INTEGER NOT NULL,
  name TEXT NOT NULL,
  last_seq INTEGER NOT NULL
);
