-- A row of up to a page stays whole. Cut into parts of 2 kB in a table of their own, a delta of 4 kB is three rows and three
-- index entries more to write, and as many to remove.
ALTER TABLE @.checkpoints SET (toast_tuple_target = 8160);
