-- `@` stands for the schema. A row for each observation; `at`, `counter` and `node` are its stamp, `node` with its first bit
-- turned round so that it sorts. `tenant` is empty where there is none. Partitions by month are made by maintenance.
CREATE TABLE @.observations (
  tenant text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  counter smallint NOT NULL,
  node bigint NOT NULL,
  writer bigint NOT NULL,
  number bigint NOT NULL,
  level smallint NOT NULL,
  name text COLLATE "C" NOT NULL,
  trace text COLLATE "C",
  task text COLLATE "C",
  agent_type text COLLATE "C",
  agent_key text COLLATE "C",
  fields json NOT NULL,
  truncated boolean NOT NULL,
  words tsvector NOT NULL,
  PRIMARY KEY (tenant, at, counter, node, writer, number)
) PARTITION BY RANGE (at);
CREATE INDEX observations_trace ON @.observations (tenant, trace, at) WHERE trace IS NOT NULL;
CREATE INDEX observations_task ON @.observations (tenant, task, at) WHERE task IS NOT NULL;
CREATE INDEX observations_agent ON @.observations (tenant, agent_type, agent_key, at) WHERE agent_type IS NOT NULL;
CREATE INDEX observations_words ON @.observations USING gin (words);
CREATE TABLE @.observations_default PARTITION OF @.observations DEFAULT;
