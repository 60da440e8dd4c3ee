-- A session has ended. The script answers whether its row was dropped: not if another holds it.
--
-- KEYS rows: of the bucket, by user
-- ARGV user text: whose session it was
-- ARGV device text: likewise
-- ARGV inc number: the room's incarnation
-- ARGV generation number: of the session
-- PARTS own_row
-- REPLY i

if not at then return 0 end
call('DEL', nothing)
call('HSET', rows, user, string.sub(packed, 1, at - 1) .. pack('<BI6I6', 0, since, now) .. string.sub(packed, at + 13))
return 1
