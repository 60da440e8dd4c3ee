-- The sweep of one bucket. The script answers how much was due.
--
-- KEYS base: the front of the bucket's keys
-- ARGV run bytes: the server's run id, 16 characters of it
-- ARGV max number: entries, and ids, at most
-- PARTS entries
-- REPLY i

no_growth()
local done = purge(max)
finish()
return done
