-- A login as most of them are: a user's first, or one of a device whose row no session holds that may live. Others are left to login.lua.
--
-- CONST CLOSE_BUSY
-- CONST DEVICE_FORGOTTEN_MS
-- CONST LOOKED_AT = ROWS_LOOKED_AT
-- PARTS row_format
if not_after ~= 0 and now > not_after then return {CLOSE_BUSY, 0} end
local packed = call('HGET', rows, user)
if not packed then
  call('HSET', rows, user, pack('<B', #device) .. device .. pack('<I7I7I7', now, now, inc) .. slot .. pack('<BI6I6B', 1, now, now, #room) .. room ..
    pack('<B', #address) .. address)
  -- A user more, so some others of the bucket are looked at. Who was not seen for so long is forgotten: however many come and go, at most
  -- about one in LOOKED_AT is such a one.
  local others = call('HRANDFIELD', rows, LOOKED_AT, 'WITHVALUES')
  for i = 1, #others, 2 do
    local at, is_over, _, seen = 1, true, nil, nil
    while is_over and at <= #others[i + 1] do
      _, _, _, _, _, _, _, seen, _, _, at = unpacked(ROW, others[i + 1], at)
      is_over = seen + DEVICE_FORGOTTEN_MS < now
    end
    if is_over then call('HDEL', rows, others[i]) end
  end
  return {0, 0, now, 0, 0, 0, NO_SLOT, 0, '', '', 0, {}, {device}}
end
local offset, count, found = 1, 0, nil
while offset <= #packed do
  local began, other = offset, nil
  local gen, login_of, of_inc, of_slot, on, since, seen, of_room, of_address
  other, gen, login_of, of_inc, of_slot, on, since, seen, of_room, of_address, offset = unpacked(ROW, packed, offset)
  count = count + 1
  if other == device then
    local held = on == 1 and string.find(live, string.format(' %.0f ', of_inc), 1, true) or ago ~= 0 and on == 1 and login_of + ago >= now
    found = not held and {began, offset, gen, of_inc, of_slot, on, since, of_room, of_address}
  end
end
if found and count <= max then
  local gen = found[3] >= now and found[3] + 1 or now
  call('DEL', nothing)
  call('HSET', rows, user, string.sub(packed, 1, found[1] - 1) .. pack('<B', #device) .. device .. pack('<I7I7I7', gen, gen, inc) .. slot ..
    pack('<BI6I6B', 1, now, now, #room) .. room .. pack('<B', #address) .. address .. string.sub(packed, found[2]))
  return {0, 0, gen, found[6], 0, found[4], found[5], found[3], found[8], found[9], found[7], {}, {}}
end
