-- The sweep of one bucket. The script answers how much was due.
--
-- KEYS base: the front of the bucket's keys
-- ARGV max number: of what is due, and of a log's entries, at most
-- PARTS sweep_next entries
-- REPLY i

no_growth()
local done = purge(max)
finish()
return done
