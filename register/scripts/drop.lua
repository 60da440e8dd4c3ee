-- A session has ended. The script answers whether its row was dropped: not if another holds it.
--
-- KEYS rows: of the bucket, by user
-- ARGV user text: whose session it was
-- ARGV device text: likewise
-- ARGV inc number: the room's incarnation
-- ARGV generation number: of the session
-- PARTS row_format
-- REPLY i

local packed, offset = call('HGET', rows, user), 1
while packed and offset <= #packed do
  local other, gen, of_inc, on, since, _
  local began = offset
  other, gen, _, of_inc, _, on, since, _, _, _, offset = unpacked(ROW, packed, offset)
  if other == device then
    if on ~= 1 or of_inc ~= inc or gen ~= generation then return 0 end
    local online = began + 1 + #device + 21 + 8
    call('DEL', nothing)
    call('HSET', rows, user, string.sub(packed, 1, online - 1) .. pack('<BI6I6', 0, since, now) .. string.sub(packed, online + 13))
    return 1
  end
end
return 0
