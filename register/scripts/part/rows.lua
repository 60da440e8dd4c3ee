-- A user's rows as a list of tables.
--
-- PARTS row_format clock memory

local function packed_row(r)
  return pack('<B', #r.device) .. r.device .. pack('<I7I7I7', r.gen, r.login, r.inc) .. r.slot .. pack('<BI6I6B', r.on, r.since, r.seen, #r.room) ..
    r.room .. pack('<B', #r.address) .. r.address
end
local function rows_of(packed)
  local list, at = {}, 1
  while packed and at <= #packed do
    local r = {}
    r.device, r.gen, r.login, r.inc, r.slot, r.on, r.since, r.seen, r.room, r.address, at = unpacked(ROW, packed, at)
    list[#list + 1] = r
  end
  return list
end
-- The device's row, or one that is like none; and whether it is new.
local function row_in(list, device)
  for _, r in ipairs(list) do
    if r.device == device then return r, false end
  end
  return {device = device, gen = 0, login = 0, inc = 0, slot = NO_SLOT, on = 0, since = 0, seen = 0, room = '', address = ''}, true
end
-- Asks whether there is memory, where there was no row for one of them: so it is the first that writes.
local function save(list, is_new)
  if is_new then grow() else no_growth() end
  local out = {}
  for i, r in ipairs(list) do out[i] = packed_row(r) end
  call('HSET', rows, user, table.concat(out))
end
local function has(set, inc) return set:find(' ' .. F(inc) .. ' ', 1, true) ~= nil end
