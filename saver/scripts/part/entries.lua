-- The entries of a log, the ids that were seen, and what is due in a bucket.
--
-- CONST GAP_EXPIRED = HAWSER__V1__GAP_REASON__GAP_EXPIRED
-- PARTS log

-- A member of a log's zset: seq, end, bytes, and the devices it is for, each name between
-- zeros.
local function parse(m)
  local seq, expires, bytes, names = string.match(m, '^(%d+) (%d+) (%d+)(.*)$')
  return tonumber(seq), tonumber(expires), tonumber(bytes), names
end
local function is_for(names, device)
  return names == '' or string.find(names, '\0' .. device .. '\0', 1, true) ~= nil
end
-- Takes an entry out; reason is for those that have not had it, nil when all have. Whether no
-- device had handled it.
local function remove(l, m, reason)
  local seq, _, bytes = parse(m)
  call('ZREM', l.q, m)
  local unhandled = call('ZREM', l.n, m) == 1
  call('HDEL', l.u, 'm' .. F(seq))
  call('ZREM', base .. 'exp', F(seq) .. ' ' .. l.name)
  l.bytes, l.dirty = l.bytes - bytes, true
  if unhandled then l.unhandled = l.unhandled - bytes end
  if reason then range_add(l, seq, seq, reason) end
  return unhandled
end
local function drop(l, m, reason, counter)
  if remove(l, m, reason) then
    count('pending', -1)
    count(counter, 1)
  end
end
local function forget_id(key)
  local record = call('HGET', base .. 'ids', key)
  if record and string.match(record, '^%d+ %d+ %d+ %d+ %d+ (.)') then count('keyed', -1) end
  call('HDEL', base .. 'ids', key)
  call('ZREM', base .. 'idx', key)
end
-- What is due in this bucket, some of it; returns how much it was.
local function purge(max)
  local due = call('ZRANGEBYSCORE', base .. 'exp', '-inf', F(now), 'LIMIT', 0, max)
  for _, e in ipairs(due) do
    local seq, name = string.match(e, '^(%d+) (.*)$')
    local l = open(name)
    local m = l and call('ZRANGEBYSCORE', l.q, seq, seq)[1]
    if m then drop(l, m, GAP_EXPIRED, 'expired') else call('ZREM', base .. 'exp', e) end
  end
  local ids = call('ZRANGEBYSCORE', base .. 'idx', '-inf', F(now), 'LIMIT', 0, max)
  for _, key in ipairs(ids) do forget_id(key) end
  return #due + #ids
end
