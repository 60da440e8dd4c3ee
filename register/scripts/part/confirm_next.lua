-- A confirmation as most of them are: the row is the session's. Now and then it says when it was seen: not each time, since all sessions
-- are confirmed each minute. Others are left to confirm.lua.
--
-- CONST SEEN_APART_MS
-- PARTS row_format
local packed, offset = call('HGET', rows, user), 1
while packed and offset <= #packed do
  local other, of_gen, of_inc, on, was_seen, _
  local began = offset
  other, of_gen, _, of_inc, _, on, _, was_seen, _, _, offset = unpacked(ROW, packed, offset)
  if other == device and of_gen == gen and of_inc == inc then
    if on == 1 and (was_seen + SEEN_APART_MS < now or was_seen > now) then
      -- Behind the name: three numbers of 7 bytes, the slot, whether it is online, and since when.
      local seen = began + 1 + #device + 21 + 8 + 1 + 6
      call('DEL', nothing)
      call('HSET', rows, user, string.sub(packed, 1, seen - 1) .. pack('<I6', now) .. string.sub(packed, seen + 6))
    end
    return {HELD, gen}
  end
end
