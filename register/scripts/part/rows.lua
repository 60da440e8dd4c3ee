-- A user's rows by device. A row is eleven fields with a space between them, the last of which an older register does not write:
-- generation incarnation slot online since seen 0 0 room address login.
--
-- CONST DEVICE_FORGOTTEN_MS
-- PARTS clock rows_nothing memory

local function parse(v)
  local g, i, sl, o, si, se, r, a, d = (v or ''):match(
    '^(%d+) (%d+) (%d+) (%d) (%d+) (%d+) %d+ %d+ (%S*) (%S*) ?(%d*)$')
  if not g then
    return {gen = 0, inc = '0', slot = '0', on = '0', since = 0, seen = 0, room = '', addr = '', login = 0}
  end
  return {gen = tonumber(g), inc = i, slot = sl, on = o, since = tonumber(si), seen = tonumber(se),
    room = r, addr = a ~= '-' and a or '', login = tonumber(d) or tonumber(g)}
end
local function get(device)
  local v = call('HGET', rows, device)
  local r = parse(v)
  r.is_there = v and true or false
  return r, not v
end
-- `put` takes what `get` gave, and asks whether there is memory, so it comes before what lets go.
local function put(device, r)
  if r.is_there then no_growth() else grow() end
  call('HSET', rows, device, table.concat({F(r.gen), r.inc, r.slot, r.on, F(r.since), F(r.seen), '0', '0', r.room,
    r.addr ~= '' and r.addr or '-', F(r.login)}, ' '))
  call('PEXPIRE', rows, F(DEVICE_FORGOTTEN_MS))
end
local function has(set, inc) return set:find(' ' .. inc .. ' ', 1, true) ~= nil end
