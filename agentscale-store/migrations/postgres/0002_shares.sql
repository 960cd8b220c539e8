-- Deltas of other threads that a fork begins with, in the order of `place`: rows `first` to `last` of the thread with the
-- number `source`. They are named here as long as the first checkpoint of the thread with the number `fork` is there, and
-- stay while they are named, as ghosts where need be.
CREATE TABLE @.shares (
  fork bigint NOT NULL,
  place bigint NOT NULL,
  source bigint NOT NULL,
  first bigint NOT NULL,
  last bigint NOT NULL,
  PRIMARY KEY (fork, place)
);
CREATE INDEX shares_by_source ON @.shares (source);
