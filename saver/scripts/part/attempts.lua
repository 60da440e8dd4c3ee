-- Attempts: of each device whose first unacknowledged message was sent and not acknowledged, that message's seq, and how often it was so.
-- A device at which that never happened has none.
--
-- CONST PARK_SESSIONS
-- PARTS entries positions

-- name, seq, how far it is parked (0 not, 1 parked, 2 its client is told by a load), attempts, since when, and the first generations
local ATTEMPT = '<Bc0I7BBI6I7I7I7'
local function attempts_of(l)
  if l.attempts then return l.attempts end
  l.attempts = {}
  local packed, at = l.tried > 0 and call('HGET', logs, l.name .. '\0a') or '', 1
  while at <= #packed do
    local a, g1, g2, g3 = {}, 0, 0, 0
    a.name, a.seq, a.parked, a.count, a.since, g1, g2, g3, at = unpacked(ATTEMPT, packed, at)
    a.sessions = {g1, g2, g3}
    l.attempts[#l.attempts + 1] = a
  end
  return l.attempts
end
local function attempt_of(l, name)
  for _, a in ipairs(attempts_of(l)) do
    if a.name == name then return a end
  end
end
-- Of those devices that are known and have not come past it; the rest is forgotten.
local function save_attempts(l)
  local out, stay = {}, {}
  for _, a in ipairs(attempts_of(l)) do
    local d = device_of(l, a.name)
    if d and position_of(l, d) < a.seq then
      stay[#stay + 1] = a
      out[#stay] = pack('<B', #a.name) .. a.name .. pack('<I7BBI6I7I7I7', a.seq, a.parked, a.count, a.since, unpack(a.sessions, 1, PARK_SESSIONS))
    end
  end
  if #out > 0 then
    call('HSET', logs, l.name .. '\0a', table.concat(out))
  elseif l.tried > 0 then
    call('HDEL', logs, l.name .. '\0a')
  end
  l.attempts, l.tried, l.dirty = stay, #out > 0 and 1 or 0, true
end
