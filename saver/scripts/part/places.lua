-- What is known of a device: its generation, when it was seen, its position in each stream.

local function device_of(l, name)
  local record = call('HGET', l.v, name)
  if not record then return nil end
  local d, at = {}, {}
  for n in string.gmatch(record, '%d+') do d[#d + 1] = tonumber(n) end
  return {generation = d[1], seen = d[2], at = {{d[3], d[4]}, {d[5], d[6]}, {d[7], d[8]}}}
end
-- A position of this log, or 0.
local function place(l, d)
  local at = d.at[1]
  return at[1] == l.epoch and at[2] <= l.head and at[2] or 0
end
local function is_right(at, epoch, head)
  return at[1] == epoch and at[2] <= head
end
local function first_unhandled(l)
  local m = call('ZRANGE', l.n, 0, 0)[1]
  return m and parse(m) - 1 or l.head
end
