-- `@` stands for the schema. Times are microseconds of the server's clock since 1970. The counter is a member's for good;
-- `exchanges` tells a row that was read from one that has changed since. What changes all the time is in no index, and half of
-- each page is left for it.
CREATE TABLE @.slot_members (
  counter bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incarnation bigint NOT NULL DEFAULT 0,
  expires bigint NOT NULL,
  seen bigint NOT NULL,
  sequence bigint NOT NULL DEFAULT 0,
  exchanges bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One row for each account that ever had a slot, under whose lock all of them are counted: `held` is the sum of its holds. Runs
-- that name no account stand under an empty name, which none can have.
CREATE TABLE @.slot_accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  UNIQUE (tenant, account)
) WITH (fillfactor = 50);

-- What each member has and wants. Changed under the lock of its member alone.
CREATE TABLE @.slot_holds (
  account bigint NOT NULL,
  member bigint NOT NULL,
  held bigint NOT NULL,
  wanted bigint NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (account, member)
) WITH (fillfactor = 50);
CREATE INDEX slot_holds_by_member ON @.slot_holds (member);
