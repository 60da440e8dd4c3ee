-- Where a device is in an inbox.
--
-- PARTS entries dead_letters

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
-- The position in front of the first entry that no device has handled, parked or not.
local function first_unhandled(l)
  local found
  if l.waiting > 0 then
    each(l, 0, l.head, function(seq)
      if is_waiting(l, seq) then found = seq end
      return found
    end)
  end
  for _, d in ipairs(l.parked > 0 and dead_letters_of(l) or {}) do
    if has_between(l, d[1], d[1]) and d[1] < (found or l.head + 1) then found = d[1] end
  end
  return found and found - 1 or l.head
end
