-- Devices' positions, and what leaves an inbox because they have it.
--
-- PARTS entries positions attempts dead_letters
-- The runs of messages that are acked by what is done now.
local acked_runs = {}
local function count_acked(seq)
  local last = acked_runs[#acked_runs]
  if last and last[2] == seq - 1 then last[2] = seq else acked_runs[#acked_runs + 1] = {seq, seq} end
  count('acked', 1)
end

-- What was parked, and has been handled by d after all, is acked. A device that was told of a gap instead has not handled it.
local function unpark_handled(l, d, from, upto)
  local own, is_parked, was = attempt_of(l, d.name), 0, #dead_letters_of(l)
  for i = was, 1, -1 do
    local seq = l.dead[i][1]
    local names = names_of(l, seq)
    local passed_over = (own and own.seq == seq and own.parked == 2) or (names and not is_for(names, d.name))
    if has_between(l, seq, seq) and (seq <= from or seq > upto or passed_over) then
      is_parked = 1
    elseif has_between(l, seq, seq) then
      forget_dead_letter(l, i)
      count('parked', -1)
      count_acked(seq)
    end
  end
  l.parked = is_parked
  if #l.dead < was then save_dead_letters(l) end
end
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
    count_acked(seq)
  end
  if l.waiting > 0 then each(l, from + 1, upto, mark) end
  if l.parked > 0 then unpark_handled(l, d, from, upto) end
  if upto > l.handled then l.handled = upto end
  if l.tried > 0 then save_attempts(l) end
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
-- Of the entries behind `from`, up to where all devices are: only their state may have changed. Whether any has left.
local function prune(l, from)
  local upto, gone = math.huge, {}
  for _, d in ipairs(devices_of(l)) do upto = math.min(upto, position_of(l, d)) end
  if upto == math.huge or upto <= from or l.count == 0 then return end
  each(l, from + 1, upto, function(seq)
    if is_handled_by_all(l, seq) then gone[#gone + 1] = seq end
  end)
  for _, seq in ipairs(gone) do remove(l, seq) end
  return #gone > 0
end
