-- How many holders have joined: no epoch is given twice.
CREATE TABLE ledger (id INTEGER PRIMARY KEY CHECK (id = 1), incarnation INTEGER NOT NULL, joined INTEGER NOT NULL);
INSERT INTO ledger VALUES (1, 0, 0);

-- Money is in billionths of a dollar, times are microseconds since 1970. `name` is scope, period and start as a JSON array.
CREATE TABLE budgets (
  name TEXT NOT NULL UNIQUE,
  id INTEGER PRIMARY KEY,
  ends INTEGER,
  spent_tokens INTEGER NOT NULL,
  spent_nanos INTEGER NOT NULL,
  reserved_tokens INTEGER NOT NULL,
  reserved_nanos INTEGER NOT NULL,
  forfeited_tokens INTEGER NOT NULL,
  forfeited_nanos INTEGER NOT NULL
);
CREATE INDEX budgets_by_end ON budgets (ends) WHERE ends IS NOT NULL;

CREATE TABLE holders (
  counter INTEGER PRIMARY KEY,
  incarnation INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  sequence INTEGER NOT NULL
);
CREATE INDEX holders_by_end ON holders (expires);

-- What each holder was granted of a budget and has spent of it, since it joined.
CREATE TABLE grants (
  holder INTEGER NOT NULL,
  budget INTEGER NOT NULL,
  granted_tokens INTEGER NOT NULL,
  granted_nanos INTEGER NOT NULL,
  spent_tokens INTEGER NOT NULL,
  spent_nanos INTEGER NOT NULL,
  PRIMARY KEY (holder, budget)
) WITHOUT ROWID;
CREATE INDEX grants_by_budget ON grants (budget);

-- Calls without a tenant or an account stand under an empty name, which neither can have.
CREATE TABLE usage (
  tenant TEXT NOT NULL,
  account TEXT NOT NULL,
  day INTEGER NOT NULL,
  model TEXT NOT NULL,
  calls INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL,
  cache_write_input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  cut_calls INTEGER NOT NULL,
  cut_tokens INTEGER NOT NULL,
  cut_cost INTEGER NOT NULL,
  unpriced_calls INTEGER NOT NULL,
  PRIMARY KEY (tenant, account, day, model)
) WITHOUT ROWID;
