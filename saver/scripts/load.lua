-- Load: what stands behind a position, up to the limits, with gaps for what is no more.
--
-- KEYS base: the front of the bucket's keys
-- ARGV epoch number: of a log that is made now
-- ARGV name text: of the log: the user's, or the stream's number
-- ARGV is_inbox flag: else a broadcast
-- ARGV wanted number: the position's epoch
-- ARGV after number: the position's seq
-- ARGV messages_max number: of one load
-- ARGV bytes_max number bytes: of one load, but at least one message
-- ARGV device text: whose view; empty for all messages
-- CONST GAP_OTHER_DEVICE = HAWSER__V1__GAP_REASON__GAP_OTHER_DEVICE
-- CONST GAP_PARKED = HAWSER__V1__GAP_REASON__GAP_PARKED
-- PARTS attempts
-- REPLY [nnnin[*[nsnn]]] epoch head change reset reset_after steps

if is_there(name) then no_growth() else grow() end
local l = open(name, epoch)
local steps = {}
local function gap(first, last, reason)
  local s = steps[#steps]
  if s and s[2] == '' and s[4] == reason and s[3] + 1 == first then s[3] = last else steps[#steps + 1] = {first, '', last, reason} end
end
local function reason_at(seq)
  for _, r in ipairs(ranges_of(l)) do
    if seq >= r[1] and seq <= r[2] then return r[3], r[2] end
    if r[1] > seq then return GAP_UNKNOWN, r[1] - 1 end
  end
  return GAP_UNKNOWN, math.huge
end
local function hole(first, last)
  while first <= last do
    local reason, upto = reason_at(first)
    upto = math.min(upto, last)
    gap(first, upto, reason)
    first = upto + 1
  end
end
-- Whether the load is full before this one.
local messages, bytes = 0, 0
local own = l.tried > 0 and attempt_of(l, device)
local function step(seq)
  local names = device ~= '' and names_of(l, seq)
  if names and not is_for(names, device) then return gap(seq, seq, GAP_OTHER_DEVICE) end
  if own and own.seq == seq and own.parked > 0 then
    if own.parked == 1 then
      own.parked = 2
      save_attempts(l)
    end
    return gap(seq, seq, GAP_PARKED)
  end
  local e = entry(l, seq)
  if not e then return gap(seq, seq, GAP_UNKNOWN) end
  if e.ends <= now then return gap(seq, seq, GAP_EXPIRED) end
  if messages > 0 and (messages >= messages_max or bytes + e.size > bytes_max) then return true end
  messages, bytes = messages + 1, bytes + e.size
  steps[#steps + 1] = {seq, e.message, e.told % 2 == 1 and e.sent or 0, e.told % 4 >= 2 and e.ends or 0}
end
local function walk()
  local at, is_full = after, false
  each(l, after + 1, l.head, function(seq)
    if seq > at + 1 then hole(at + 1, seq - 1) end
    at = seq
    is_full = step(seq)
    return is_full
  end)
  if not is_full and at < l.head then hole(at + 1, l.head) end
end
local function restart_after()
  if not is_inbox then return l.head end
  local d = device_of(l, device)
  return d and is_right(d.at[1], l.epoch, l.head) and d.at[1][2] or first_unhandled(l)
end
local reset, reset_after = wanted ~= l.epoch or after > l.head, 0
if reset then reset_after = restart_after() else walk() end
finish()
return {l.epoch, l.head, l.change, reset and 1 or 0, reset_after, steps}
