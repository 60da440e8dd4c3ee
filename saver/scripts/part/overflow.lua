-- What has to leave a log that is over its limits. `a` has them.
--
-- CONST GAP_OVERFLOWED = HAWSER__V1__GAP_REASON__GAP_OVERFLOWED
-- PARTS ended

-- The oldest that some device has handled; else the oldest.
local function victim(l)
  local first = first_of(l)
  if l.waiting == l.count or l.named == 0 then return first end
  local found
  each(l, first, l.head, function(seq)
    if not is_waiting(l, seq) then found = seq end
    return found
  end)
  return found or first
end
local function overflow(l, a)
  while l.count > 1 and (l.count > a.messages_max or l.bytes > a.bytes_max) do
    local seq = victim(l)
    if drop(l, seq, GAP_OVERFLOWED, 'overflowed') then tell_end(seq, GAP_OVERFLOWED) end
  end
end
