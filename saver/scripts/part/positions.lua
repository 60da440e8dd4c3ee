-- Where a device is in an inbox.
--
-- PARTS entries

local function device_of(l, name)
  for i, d in ipairs(devices_of(l)) do
    if d.name == name then return d, i end
  end
end
-- A position of this log, or 0.
local function position_of(l, d)
  local at = d.at[1]
  return at[1] == l.epoch and at[2] <= l.head and at[2] or 0
end
local function is_right(at, epoch, head)
  return at[1] == epoch and at[2] <= head
end
-- The position in front of the first entry that no device has handled.
local function first_waiting(l)
  local found
  if l.waiting == 0 then return l.head end
  each(l, 0, l.head, function(seq)
    if is_waiting(l, seq) then found = seq end
    return found
  end)
  return found and found - 1 or l.head
end
