-- Attempt: a device had what was sent to it, up to a seq, and did not acknowledge the first message of it. From so many on, in so many sessions and
-- for so long, it is parked for that device. The script answers whether it was counted, whether it is parked, and the seq of the message that met its end by that.
--
-- KEYS base: the front of the bucket's keys
-- ARGV user text: the inbox
-- ARGV name text: of the device
-- ARGV generation number: of the session
-- ARGV wanted number: the epoch
-- ARGV after number: up to where the room knows that it was acknowledged
-- ARGV upto number: the device had it up to there
-- ARGV attempts_min number: for a message to be parked
-- ARGV sessions_min number: likewise
-- ARGV least_ms number: since the first of them
-- ARGV letters_max number: dead letters of a user
-- ARGV kept_ms number: how long each is kept
-- CONST PURGED_AT_ONCE
-- CONST ATTEMPTS_COUNTED_MAX
-- PARTS attempts dead_letters
-- REPLY [iii] counted parked ended

grow()
local l = open(user)
local d = l and device_of(l, name)
-- What is due goes first, and where more of it is left nothing is counted: what is sent behind it may not be the first.
local function is_swept()
  if l.registered ~= 0 and l.registered <= now then expire(l, PURGED_AT_ONCE) end
  return l.registered == 0 or l.registered > now
end
-- The first that the device has not handled; nil if it had not come so far.
local function first_unacked()
  local found
  each(l, position_of(l, d) + 1, math.min(upto, l.head), function(seq)
    local names = names_of(l, seq)
    if not names or is_for(names, name) then found = seq end
    return found
  end)
  return found and found > after and found
end
local function add_session(a)
  for i = 1, PARK_SESSIONS do
    if a.sessions[i] == generation then return end
    if a.sessions[i] == 0 then
      a.sessions[i] = generation
      return
    end
  end
end
local function attempt(seq)
  local a = attempt_of(l, name)
  if not a then
    a = {name = name}
    l.attempts[#l.attempts + 1] = a
  end
  if a.seq ~= seq then a.seq, a.parked, a.count, a.since, a.sessions = seq, 0, 0, now, {0, 0, 0} end
  if a.count < ATTEMPTS_COUNTED_MAX then a.count = a.count + 1 end
  add_session(a)
  return a
end
-- Where no device has handled it, it meets its end here. All unnamed ones in front of it have met theirs.
local function park(seq)
  local e, names = entry(l, seq), names_of(l, seq)
  l.waiting, l.waiting_bytes, l.parked = l.waiting - 1, l.waiting_bytes - e.size, 1
  if names then call('HSET', logs, field(l, 'n', seq), '0' .. names) else l.handled = seq end
  count('parked', 1)
  call('HSET', logs, field(l, 'd', seq), pack('<I6I6I6BB', now, e.sent, e.ends, e.told, #name) .. name .. e.message)
  table.insert(dead_letters_of(l), {seq, now + kept_ms})
  while #l.dead > letters_max do
    drop_dead_letter(l, 1)
    count('letters_dropped', 1)
  end
  save_dead_letters(l)
end
local seq = d and l.epoch == wanted and is_swept() and first_unacked()
local is_parked, ended = false, 0
if seq then
  local a = attempt(seq)
  is_parked = a.parked > 0
  if not is_parked and a.count >= attempts_min and a.sessions[sessions_min] ~= 0 and now - a.since >= least_ms then
    is_parked, a.parked = true, 1
    if is_waiting(l, seq) then
      park(seq)
      ended = seq
    end
  end
  save_attempts(l)
end
finish()
return {seq and 1 or 0, is_parked and 1 or 0, ended}
