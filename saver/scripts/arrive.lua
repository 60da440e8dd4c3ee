-- The head of an inbox, for a session whose row was written anew: the log counts it. The script answers epoch, head and change.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: the user
-- ARGV epoch number: of the log if it is made now
-- PARTS log
-- REPLY [nnn]

if is_there(name) then no_growth() else grow() end
local l = open(name, epoch)
arrive(l)
finish()
return {l.epoch, l.head, l.change}
