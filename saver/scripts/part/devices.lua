-- Devices' positions, and what leaves an inbox because they have it.
--
-- CONST STREAMS
-- PARTS places

local function devices_of(l)
  local all = {}
  for _, name in ipairs(call('HKEYS', l.v)) do all[name] = device_of(l, name) end
  return all
end
local function save_device(l, name, d)
  local out = {F(d.generation), F(d.seen)}
  for i = 1, STREAMS do out[#out + 1] = F(d.at[i][1]) .. ' ' .. F(d.at[i][2]) end
  call('HSET', l.v, name, table.concat(out, ' '))
end
-- What d has handled since its position was `from` is acked, where no device had handled it.
local function mark_handled(l, name, d, from)
  local upto = place(l, d)
  if upto <= from then return end
  for _, m in ipairs(call('ZRANGEBYSCORE', l.n, '(' .. F(from), F(upto))) do
    local _, _, bytes, names = parse(m)
    if is_for(names, name) then
      call('ZREM', l.n, m)
      l.unhandled, l.dirty = l.unhandled - bytes, true
      count('pending', -1)
      count('acked', 1)
    end
  end
end
-- All known devices, those it is not meant for too, which learn of that from the log; and at
-- least one that it is meant for. A named device that was never here keeps it.
local function is_handled_by_all(l, m, seq, names, all)
  local known, named = 0, 0
  for name, d in pairs(all) do
    if place(l, d) < seq then return false end
    if is_for(names, name) then known = known + 1 end
  end
  for _ in string.gmatch(names, '[^%z]+') do named = named + 1 end
  if names == '' then named = 1 end
  return known >= named and not call('ZSCORE', l.n, m)
end
-- Of the entries behind `from`, up to where any device is: only their state may have changed.
local function prune(l, all, from)
  local upto = from
  for _, d in pairs(all) do upto = math.max(upto, place(l, d)) end
  if upto <= from then return end
  for _, m in ipairs(call('ZRANGEBYSCORE', l.q, '(' .. F(from), F(upto))) do
    local seq, _, _, names = parse(m)
    if is_handled_by_all(l, m, seq, names, all) then remove(l, m) end
  end
end
