-- Devices' positions, and what leaves an inbox because they have it.
--
-- PARTS entries positions

-- What d has handled since its position was `from` is acked, where no device had handled it.
local function mark_handled(l, d, from)
  local upto = position_of(l, d)
  if upto <= from or l.count == 0 then return end
  local function mark(seq)
    local names, waits = names_of(l, seq)
    if names and waits and is_for(names, d.name) then
      call('HSET', logs, field(l, 'n', seq), '0' .. names)
    elseif names or seq <= l.handled then
      return
    end
    local e = entry(l, seq)
    l.waiting, l.waiting_bytes = l.waiting - 1, l.waiting_bytes - (e and e.size or 0)
    count('acked', 1)
  end
  if l.waiting > 0 then each(l, from + 1, upto, mark) end
  if upto > l.handled then l.handled = upto end
  l.dirty = true
end
-- All known devices, those it is not meant for too, which learn of that from the log; and at
-- least one that it is meant for. A named device that was never here keeps it.
local function is_handled_by_all(l, seq)
  local names, waits = names_of(l, seq)
  if not names then return seq <= l.handled end
  local known, named = 0, 0
  for _, d in ipairs(devices_of(l)) do
    if is_for(names, d.name) then known = known + 1 end
  end
  for _ in string.gmatch(names, '[^%z]+') do named = named + 1 end
  return known >= named and not waits
end
-- Of the entries behind `from`, up to where all devices are: only their state may have changed.
local function prune(l, from)
  local upto, gone = math.huge, {}
  for _, d in ipairs(devices_of(l)) do upto = math.min(upto, position_of(l, d)) end
  if upto == math.huge or upto <= from or l.count == 0 then return end
  each(l, from + 1, upto, function(seq)
    if is_handled_by_all(l, seq) then gone[#gone + 1] = seq end
  end)
  for _, seq in ipairs(gone) do remove(l, seq) end
end
