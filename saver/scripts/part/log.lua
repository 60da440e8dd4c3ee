-- How a log is kept: docs/REDIS.md has the keys. `base` is the front of the bucket's keys, with their hash tag, and `run` the run id
-- of the server. No key has a TTL, and numbers stay below 2^53, where Lua's are exact.
--
-- CONST GAP_UNKNOWN = HAWSER__V1__GAP_REASON__GAP_UNKNOWN
-- CONST GAP_STORE_RESTARTED = HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED
-- CONST DROPPED_RANGES_MAX
-- CONST RESTART_SEQS_PER_S
-- PARTS clock base memory
local logs = {}
local function count(name, by) call('HINCRBY', base .. 'sum', name, by) end
local function is_there(name) return call('EXISTS', base .. 'u:' .. name) == 1 end
local function ranges_of(l)
  if l.ranges then return l.ranges end
  l.ranges = {}
  for a, b, r in string.gmatch(call('HGET', l.u, 'r') or '', '(%d+) (%d+) (%d+);') do
    l.ranges[#l.ranges + 1] = {tonumber(a), tonumber(b), tonumber(r)}
  end
  return l.ranges
end
local function merge_with_next(r, i, reason)
  r[i][2], r[i][3] = r[i + 1][2], reason
  table.remove(r, i + 1)
end
-- Ranges never span an entry that is there. Over their bound the oldest neighbours without one
-- between them become one of unknown reason; if there are none, the oldest is forgotten. What
-- holds a jump stays one: its seqs are no count of messages.
local function bound_ranges(l)
  local r = l.ranges
  for i = 1, #r - 1 do
    if call('ZCOUNT', l.q, F(r[i][1]), F(r[i + 1][2])) == 0 then
      local jumps = r[i][3] == GAP_STORE_RESTARTED or r[i + 1][3] == GAP_STORE_RESTARTED
      return merge_with_next(r, i, jumps and GAP_STORE_RESTARTED or GAP_UNKNOWN)
    end
  end
  table.remove(r, 1)
end
local function range_add(l, first, last, reason)
  local r = ranges_of(l)
  local i = #r
  l.ranges_dirty = true
  while i > 0 and r[i][1] > first do i = i - 1 end
  local a, b = r[i], r[i + 1]
  if a and a[2] + 1 == first and a[3] == reason then
    a[2] = last
    if b and b[1] == last + 1 and b[3] == reason then merge_with_next(r, i, reason) end
    return
  end
  if b and b[1] == last + 1 and b[3] == reason then
    b[1] = first
    return
  end
  table.insert(r, i + 1, {first, last, reason})
  if #r > DROPPED_RANGES_MAX then bound_ranges(l) end
end
-- A log by its name (the user's, or the stream's number). Of one that is not there: a new one
-- in that epoch, or nil without one. When another server took its last append, some of it may
-- have been lost there: the next seq lies above all that was ever given, and the jump loads as
-- a gap of that reason.
local function open(name, epoch)
  local l = logs[name]
  if l then return l end
  l = {name = name, u = base .. 'u:' .. name, q = base .. 'q:' .. name, n = base .. 'n:' .. name,
    v = base .. 'v:' .. name}
  local h = call('HGET', l.u, 'h')
  if h then
    local e, head, change, server, bytes, unhandled =
      string.match(h, '^(%d+) (%d+) (%d+) (%w*) (%d+) (%d+)$')
    l.epoch, l.head, l.change = tonumber(e), tonumber(head), tonumber(change)
    l.bytes, l.unhandled = tonumber(bytes), tonumber(unhandled)
    local least = tonumber(time[1]) * RESTART_SEQS_PER_S - 1
    l.dirty = server ~= run
    if l.dirty and l.head < least then
      range_add(l, l.head + 1, least, GAP_STORE_RESTARTED)
      l.head = least
    end
  elseif not epoch then
    return nil
  else
    call('DEL', l.u, l.q, l.n, l.v)
    l.epoch, l.head, l.change, l.bytes, l.unhandled = epoch, 0, 0, 0, 0
    l.dirty = true
  end
  logs[name] = l
  return l
end
-- What was changed is written at the end of each script that changes anything.
local function finish()
  for _, l in pairs(logs) do
    if l.dirty then
      call('HSET', l.u, 'h', F(l.epoch) .. ' ' .. F(l.head) .. ' ' .. F(l.change) .. ' ' .. run ..
        ' ' .. F(l.bytes) .. ' ' .. F(l.unhandled))
    end
    if l.ranges_dirty then
      local out = {}
      for i, g in ipairs(l.ranges) do out[i] = F(g[1]) .. ' ' .. F(g[2]) .. ' ' .. F(g[3]) .. ';' end
      call('HSET', l.u, 'r', table.concat(out))
    end
  end
end
