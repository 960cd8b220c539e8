-- Deltas of other threads that a forked checkpoint begins with, in the order of `place`: rows `first` to `last` of the
-- thread with the number `source`. They stay, as ghosts where need be, while they are named here. A thread that is
-- deleted while others share its rows leaves them its number and gets another one.
CREATE TABLE shares (
  checkpoint INTEGER NOT NULL,
  place INTEGER NOT NULL,
  source INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (checkpoint, place)
) WITHOUT ROWID;
CREATE INDEX shares_by_source ON shares (source);
