-- `@` stands for the schema. Money is in billionths of a dollar, times are microseconds of the server's clock since 1970.
-- `name` is scope, period and start as a JSON array. What changes all the time is in no index, and half of each page is left
-- for it, so that an update stays on its page.
CREATE TABLE @.budgets (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  ends bigint,
  spent_tokens bigint NOT NULL DEFAULT 0 CHECK (spent_tokens >= 0),
  spent_nanos bigint NOT NULL DEFAULT 0 CHECK (spent_nanos >= 0),
  reserved_tokens bigint NOT NULL DEFAULT 0 CHECK (reserved_tokens >= 0),
  reserved_nanos bigint NOT NULL DEFAULT 0 CHECK (reserved_nanos >= 0),
  forfeited_tokens bigint NOT NULL DEFAULT 0 CHECK (forfeited_tokens >= 0),
  forfeited_nanos bigint NOT NULL DEFAULT 0 CHECK (forfeited_nanos >= 0)
) WITH (fillfactor = 50);
CREATE INDEX budgets_by_end ON @.budgets (ends) WHERE ends IS NOT NULL;

-- The counter is a holder's for good. `exchanges` tells a row that was read from one that has changed since.
CREATE TABLE @.budget_holders (
  counter bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incarnation bigint NOT NULL DEFAULT 0,
  expires bigint NOT NULL,
  sequence bigint NOT NULL DEFAULT 0,
  exchanges bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- What each holder was granted of a budget and has spent of it, since it joined. Changed under the lock of its holder alone.
CREATE TABLE @.budget_grants (
  holder bigint NOT NULL,
  budget bigint NOT NULL,
  granted_tokens bigint NOT NULL,
  granted_nanos bigint NOT NULL,
  spent_tokens bigint NOT NULL,
  spent_nanos bigint NOT NULL,
  PRIMARY KEY (holder, budget)
) WITH (fillfactor = 50);
CREATE INDEX budget_grants_by_budget ON @.budget_grants (budget);

-- Calls without a tenant or an account stand under an empty name, which neither can have.
CREATE TABLE @.budget_usage (
  tenant text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  day bigint NOT NULL,
  model text COLLATE "C" NOT NULL,
  calls bigint NOT NULL,
  input_tokens bigint NOT NULL,
  cached_input_tokens bigint NOT NULL,
  cache_write_input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  reasoning_tokens bigint NOT NULL,
  cost bigint NOT NULL,
  cut_calls bigint NOT NULL,
  cut_tokens bigint NOT NULL,
  cut_cost bigint NOT NULL,
  unpriced_calls bigint NOT NULL,
  PRIMARY KEY (tenant, account, day, model)
) WITH (fillfactor = 50);
