-- The entries of a log, and the ids that were seen.
--
-- CONST GAP_EXPIRED = HAWSER__V1__GAP_REASON__GAP_EXPIRED
-- PARTS log

local function is_for(names, device)
  return names == '' or string.find(names, '\0' .. device .. '\0', 1, true) ~= nil
end
local function entry(l, seq)
  local value = call('HGET', logs, field(l, 'm', seq))
  if not value then return nil end
  local e = {}
  e.sum, e.ends, e.sent, e.size, e.told, e.at = unpacked(ENTRY, value)
  e.message = string.sub(value, e.at)
  e.is_named, e.is_odd = e.told % 8 >= 4, e.told >= 8
  return e
end
-- The devices that an entry is for, and whether none of them has handled it; nil for one that is for all.
local function names_of(l, seq)
  local names = l.named > 0 and call('HGET', logs, field(l, 'n', seq))
  if names then return string.sub(names, 2), string.byte(names) == 49 end
end
local function is_waiting(l, seq)
  local names, waits = names_of(l, seq)
  if names then return waits end
  return seq > l.handled
end
local function first_of(l)
  local r = runs_of(l)[1]
  return r and r[1]
end
-- Those that end before one that stands in front of them are listed: end and seq of each. Some of them may have gone.
local function odd_of(l)
  local out, packed = {}, l.odd > 0 and call('HGET', logs, l.name .. '\0o') or ''
  for at = 1, #packed, 13 do
    local ends, seq = unpacked('<I6I7', packed, at)
    if has_between(l, seq, seq) then out[#out + 1] = {ends, seq} end
  end
  return out
end
local function add_odd(l, seq, ends)
  local packed = l.odd > 0 and call('HGET', logs, l.name .. '\0o') or ''
  call('HSET', logs, l.name .. '\0o', packed .. pack('<I6I7', ends, seq))
  l.odd = l.odd + 1
end
local function save_odd(l, list)
  local out = {}
  for i, o in ipairs(list) do out[i] = pack('<I6I7', o[1], o[2]) end
  if #list > 0 then call('HSET', logs, l.name .. '\0o', table.concat(out)) else call('HDEL', logs, l.name .. '\0o') end
  l.odd = #list
end
-- Takes an entry out; reason is for those that have not had it, nil when all have. Whether no
-- device had handled it.
local function remove(l, seq, reason)
  local e, waits = entry(l, seq), is_waiting(l, seq)
  local size = e and e.size or 0
  call('HDEL', logs, field(l, 'm', seq))
  if e and e.is_named then
    call('HDEL', logs, field(l, 'n', seq))
    l.named = l.named - 1
  end
  l.bytes = l.bytes - size
  if waits then l.waiting, l.waiting_bytes = l.waiting - 1, l.waiting_bytes - size end
  run_remove(l, seq)
  if reason then range_add(l, seq, seq, reason) end
  return waits
end
local function drop(l, seq, reason, counter)
  local waits = remove(l, seq, reason)
  if waits then count(counter, 1) end
  return waits
end
-- Lets go of what is due in a log, some of it, and says when the next is. Behind the first that is not due only those that are listed can be.
local function expire(l, max)
  local odd, is_odd, next_end, gone, done = odd_of(l), {}, math.huge, {}, 0
  for _, o in ipairs(odd) do is_odd[o[2]] = true end
  each(l, 0, l.head, function(seq)
    if is_odd[seq] then return end
    local e = entry(l, seq)
    if e and e.ends > now then next_end = e.ends return true end
    gone[#gone + 1] = seq
    if #gone >= max then next_end = now return true end
  end)
  local stay = {}
  for _, o in ipairs(odd) do
    if o[1] <= now and #gone < max then
      gone[#gone + 1] = o[2]
    else
      stay[#stay + 1] = o
      next_end = math.min(next_end, o[1])
    end
  end
  for _, seq in ipairs(gone) do
    drop(l, seq, GAP_EXPIRED, 'expired')
    done = done + 1
  end
  if l.odd > 0 then save_odd(l, stay) end
  register(l, next_end == math.huge and 0 or next_end)
  return done
end
local function forget_id(key)
  local record = call('HGET', logs, key)
  if record then
    local _, _, _, _, _, _, at = unpacked(ID, record)
    if at <= #record then count('keyed', -1) end
  end
  call('HDEL', logs, key)
  call('ZREM', due, 'k' .. key)
end
