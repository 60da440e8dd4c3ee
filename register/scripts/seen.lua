-- A session that lives is seen now: its row says so. The script answers whether the row is the session's.
--
-- KEYS rows: of the bucket, by user
-- ARGV user text: whose session it is
-- ARGV device text: likewise
-- ARGV inc number: the room's incarnation
-- ARGV gen number: the session's generation
-- PARTS row_format
-- REPLY i

local packed, offset = call('HGET', rows, user), 1
while packed and offset <= #packed do
  local other, of_gen, of_inc, on, _
  local began = offset
  other, of_gen, _, of_inc, _, on, _, _, _, _, offset = unpacked(ROW, packed, offset)
  if other == device then
    if on ~= 1 or of_gen ~= gen or of_inc ~= inc then return 0 end
    -- Behind the name: three numbers of 7 bytes, the slot, whether it is online, and since when.
    local seen = began + 1 + #device + 21 + 8 + 1 + 6
    call('DEL', nothing)
    call('HSET', rows, user, string.sub(packed, 1, seen - 1) .. pack('<I6', now) .. string.sub(packed, seen + 6))
    return 1
  end
end
return 0
