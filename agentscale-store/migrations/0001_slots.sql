-- How many members have joined: no epoch is given twice.
CREATE TABLE slots (id INTEGER PRIMARY KEY CHECK (id = 1), incarnation INTEGER NOT NULL, joined INTEGER NOT NULL);
INSERT INTO slots VALUES (1, 0, 0);

-- Times are microseconds since 1970.
CREATE TABLE members (
  counter INTEGER PRIMARY KEY,
  incarnation INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  sequence INTEGER NOT NULL
);

-- Runs that name no account stand under an empty name, which none can have.
CREATE TABLE holds (
  tenant TEXT NOT NULL,
  account TEXT NOT NULL,
  member INTEGER NOT NULL,
  held INTEGER NOT NULL,
  wanted INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (tenant, account, member)
) WITHOUT ROWID;
CREATE INDEX holds_by_member ON holds (member);
