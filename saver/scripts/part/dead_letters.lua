-- Dead letters: of each message that was parked before any device had handled it, a copy, until it is handled after all, sent anew, or
-- too old. As long as its entry is in the log, it may still be handled; who takes a dead letter away takes the entry with it.
--
-- CONST GAP_PARKED = HAWSER__V1__GAP_REASON__GAP_PARKED
-- PARTS entries

-- when it was parked, when it was sent, its end, told (as of an entry), the device; behind it the message
local DEAD = '<I6I6I6BBc0'
-- seq and end of each, in the order in which they were parked
local function dead_letters_of(l)
  if l.dead then return l.dead end
  l.dead = {}
  local packed = call('HGET', logs, l.name .. '\0p') or ''
  for at = 1, #packed, 13 do
    local seq, ends = unpacked('<I7I6', packed, at)
    l.dead[#l.dead + 1] = {seq, ends}
  end
  return l.dead
end
local function save_dead_letters(l)
  local out = {}
  for i, d in ipairs(l.dead) do out[i] = pack('<I7I6', d[1], d[2]) end
  if #out > 0 then
    call('HSET', logs, l.name .. '\0p', table.concat(out))
    call('ZADD', due, l.dead[1][2], 'd' .. l.name)
  else
    call('HDEL', logs, l.name .. '\0p')
    call('ZREM', due, 'd' .. l.name)
  end
end
local function forget_dead_letter(l, i)
  call('HDEL', logs, field(l, 'd', l.dead[i][1]))
  table.remove(l.dead, i)
end
local function drop_dead_letter(l, i)
  local seq = l.dead[i][1]
  if has_between(l, seq, seq) then remove(l, seq, GAP_PARKED) end
  forget_dead_letter(l, i)
end
-- Those that have been kept for long enough; returns how many.
local function dead_letters_end(name)
  local l, done = open(name), 0
  if not l then
    call('ZREM', due, 'd' .. name)
    return 0
  end
  while #dead_letters_of(l) > 0 and l.dead[1][2] <= now do
    drop_dead_letter(l, 1)
    done = done + 1
  end
  save_dead_letters(l)
  return done
end
