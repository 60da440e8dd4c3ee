-- A log as a table, for all that is not done at nearly every call. What was changed is written by finish(), at the end of the script.
--
-- CONST GAP_UNKNOWN = HAWSER__V1__GAP_REASON__GAP_UNKNOWN
-- CONST GAP_STORE_RESTARTED = HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED
-- CONST DROPPED_RANGES_MAX
-- CONST RESTART_SEQS_PER_S
-- PARTS layout base memory
local opened, counted = {}, {}
local function count(name, by) counted[name] = (counted[name] or 0) + by end
local function is_there(name) return call('HEXISTS', logs, name) == 1 end
local function field(l, kind, seq) return l.name .. '\0' .. kind .. pack('>I7', seq) end
local function register(l, at_ms)
  l.registered, l.dirty, l.is_moved = at_ms, true, true
end

-- --- its devices: generation, when it was seen, its position in each stream

local function devices_of(l)
  if l.devices then return l.devices end
  local _, n, at = unpacked(BEFORE_DEVICES, l.state, l.tail)
  l.devices = {}
  for i = 1, n do
    local d, e1, s1, e2, s2, e3, s3 = {}, 0, 0, 0, 0, 0, 0
    d.name, d.generation, d.seen, e1, s1, e2, s2, e3, s3, at = unpacked(DEVICE, l.state, at)
    d.at = {{e1, s1}, {e2, s2}, {e3, s3}}
    l.devices[i] = d
  end
  l.tail_of_ranges = at
  return l.devices
end
local function packed_devices(l)
  local out = {pack(BEFORE_DEVICES, l.arrivals, #l.devices)}
  for i, d in ipairs(l.devices) do
    out[i + 1] = pack('<B', #d.name) .. d.name ..
      pack('<I7I6I7I7I7I7I7I7', d.generation, d.seen, d.at[1][1], d.at[1][2], d.at[2][1], d.at[2][2], d.at[3][1], d.at[3][2])
  end
  return table.concat(out)
end

-- A session that is there from now on: whoever appends behind this is told of it by the count.
local function arrive(l)
  devices_of(l)
  l.arrivals, l.dirty = (l.arrivals + 1) % 65536, true
end

-- --- its entries, as runs of seqs; the last run, which may be empty, ends at the head

local function runs_of(l)
  if l.runs then return l.runs end
  l.runs = {}
  local packed = l.earlier > 0 and call('HGET', logs, l.name .. '\0r') or ''
  for at = 1, #packed, 14 do
    local first, last = unpacked('<I7I7', packed, at)
    l.runs[#l.runs + 1] = {first, last}
  end
  if l.start <= l.head then l.runs[#l.runs + 1] = {l.start, l.head} end
  return l.runs
end
local function run_append(l)
  local r = runs_of(l)
  local last = r[#r]
  l.head, l.count, l.dirty = l.head + 1, l.count + 1, true
  if last and last[2] == l.head - 1 then last[2] = l.head else r[#r + 1] = {l.head, l.head} end
end
local function run_remove(l, seq)
  local r = runs_of(l)
  l.count, l.dirty = l.count - 1, true
  for i, run_of in ipairs(r) do
    if seq >= run_of[1] and seq <= run_of[2] then
      if run_of[1] == run_of[2] then
        table.remove(r, i)
      elseif seq == run_of[1] then
        run_of[1] = seq + 1
      elseif seq == run_of[2] then
        run_of[2] = seq - 1
      else
        table.insert(r, i + 1, {seq + 1, run_of[2]})
        run_of[2] = seq - 1
      end
      return
    end
  end
end
-- Calls f with each entry's seq from `first` to `last`, in order, until it answers something; f takes none out.
local function each(l, first, last, f)
  for _, r in ipairs(runs_of(l)) do
    for seq = math.max(first, r[1]), math.min(last, r[2]) do
      if f(seq) then return end
    end
    if r[2] >= last then return end
  end
end
local function has_between(l, first, last)
  local found = false
  each(l, first, last, function() found = true return true end)
  return found
end
local function save_runs(l)
  local earlier, out = l.earlier, {}
  l.start = l.head + 1
  for i, r in ipairs(l.runs) do
    if r[2] == l.head then l.start = r[1] else out[i] = pack('<I7I7', r[1], r[2]) end
  end
  l.earlier = #out > 0 and 1 or 0
  if #out > 0 then
    call('HSET', logs, l.name .. '\0r', table.concat(out))
  elseif earlier > 0 then
    call('HDEL', logs, l.name .. '\0r')
  end
end

-- --- the ranges that left it, and why

local function ranges_of(l)
  if l.ranges then return l.ranges end
  devices_of(l)
  l.ranges = {}
  for at = l.tail_of_ranges, #l.state, 15 do
    local first, last, reason = unpacked('<I7I7B', l.state, at)
    l.ranges[#l.ranges + 1] = {first, last, reason}
  end
  return l.ranges
end
local function packed_ranges(l)
  local out = {}
  for i, r in ipairs(l.ranges) do out[i] = pack('<I7I7B', r[1], r[2], r[3]) end
  return table.concat(out)
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
    if not has_between(l, r[i][1], r[i + 1][2]) then
      local jumps = r[i][3] == GAP_STORE_RESTARTED or r[i + 1][3] == GAP_STORE_RESTARTED
      return merge_with_next(r, i, jumps and GAP_STORE_RESTARTED or GAP_UNKNOWN)
    end
  end
  table.remove(r, 1)
end
local function range_add(l, first, last, reason)
  local r = ranges_of(l)
  local i = #r
  l.dirty = true
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

-- --- the whole

local function read_state(l)
  local form, ran
  form, l.epoch, l.head, l.change, ran, l.tail = unpacked(NEW, l.state)
  l.registered, l.last = 0, 0
  if form >= 1 then l.registered, l.last, l.tail = unpacked(REST_OF_SHORT, l.state, l.tail) end
  local more = 0
  l.start, l.named, l.odd, l.count, l.waiting = l.head + 1, 0, 0, 0, 0
  l.handled, l.sum, l.bytes, l.waiting_bytes, l.top = l.head, 0, 0, 0, 0
  if form == 2 then
    l.start, more, l.named, l.odd, l.count, l.waiting, l.handled, l.sum, l.bytes, l.waiting_bytes, l.top, l.tail =
      unpacked(LONG, l.state, l.tail)
  end
  l.earlier, l.tried, l.parked, l.collapsing = more % 2, (more - more % 2) / 2 % 2, (more - more % 4) / 4 % 2, (more - more % 8) / 8
  l.arrivals = unpacked(ARRIVALS, l.state, l.tail)
  return ran
end
-- The next seq is behind this one; those between are not there for that reason.
local function skip_to(l, seq)
  runs_of(l)
  range_add(l, l.head + 1, seq, GAP_STORE_RESTARTED)
  if l.count == 0 then l.handled = seq end
  l.head = seq
end
-- When another server took its last append, some of it may have been lost there: the next seq lies above all that was ever given, and
-- the jump loads as a gap of that reason.
local function go_on(l)
  local least = tonumber(time[1]) * RESTART_SEQS_PER_S - 1
  if l.head < least then skip_to(l, least) end
end
-- A log by its name (the user's, or the stream's number). Of one that is not there: a new one in that epoch, or nil without one. It
-- goes on in this history, unless the caller puts back what it has lost first; until then it is dirty.
local function open(name, epoch, is_restored)
  local l = opened[name]
  if l then return l end
  local state = call('HGET', logs, name)
  if not state and not epoch then return nil end
  l = {name = name, state = state}
  if state then
    l.dirty = read_state(l) ~= history
    if l.dirty and not is_restored then go_on(l) end
  else
    l.state = pack(NEW, 0, epoch, 0, 0, history) .. pack(BEFORE_DEVICES, 0, 0)
    read_state(l)
    l.dirty = true
  end
  opened[name] = l
  return l
end
local function save(l)
  local history = l.history or history
  if l.runs then save_runs(l) end
  if l.count == 0 and l.odd > 0 then call('HDEL', logs, l.name .. '\0o') end
  if l.count == 0 and l.tried > 0 then call('HDEL', logs, l.name .. '\0a') end
  if l.count == 0 and l.collapsing > 0 then call('HDEL', logs, l.name .. '\0c') end
  if l.is_moved and l.registered == 0 then
    call('ZREM', due, 'l' .. l.name)
  elseif l.is_moved then
    call('ZADD', due, l.registered, 'l' .. l.name)
  end
  local state = l.count == 0 and l.registered + l.last == 0 and pack(NEW, 0, l.epoch, l.head, l.change, history) or
    l.count == 0 and pack(SHORT, 1, l.epoch, l.head, l.change, history, l.registered, l.last) or
    pack(BOTH, 2, l.epoch, l.head, l.change, history, l.registered, l.last, l.start, l.earlier + 2 * l.tried + 4 * l.parked + 8 * l.collapsing, l.named, l.odd, l.count, l.waiting,
      l.handled, l.sum, l.bytes, l.waiting_bytes, l.top)
  if not l.devices then
    state = state .. string.sub(l.state, l.tail)
  else
    state = state .. packed_devices(l) .. (l.ranges and packed_ranges(l) or string.sub(l.state, l.tail_of_ranges))
  end
  call('HSET', logs, l.name, state)
end
local function finish()
  for name, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', base .. 'sum', name, by) end
  end
  for _, l in pairs(opened) do
    if l.dirty then save(l) end
  end
end
