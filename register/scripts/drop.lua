-- A session has ended. The script answers whether its row was dropped: not if another holds it.
--
-- KEYS rows: the user's, by device
-- ARGV device text: whose session it was
-- ARGV inc digits: the room's incarnation
-- ARGV generation digits: of the session
-- PARTS rows
-- REPLY i

local r = get(device)
if r.on ~= '1' or r.inc ~= inc or F(r.gen) ~= generation then return 0 end
r.on, r.seen = '0', now
put(device, r)
return 1
