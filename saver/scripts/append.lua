-- Appends to logs of one bucket: idempotent by id, with a last moment, under the limits. The script answers whether the bucket has its
-- first sums, and the time; then of each append its outcome, and where the message is and when it ends; then of each message that had to leave,
-- before any device had handled it, the place of the append, its seq and why; and how many those are. REFUSED: the server is full. Most
-- appends go a shorter way (part/append_next.lua), which does the same: tests/unit/saver/test_store_ways.c compares them.
--
-- KEYS base: the front of the bucket's keys
-- ARGV epoch number: of a log that is made now
-- REST what, name, id, message: of each; `what` is what redis_append.c packs
-- CONST REPLAYED = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED
-- CONST MISMATCH = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH
-- CONST TOO_LATE = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE
-- CONST FULL = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_FULL
-- CONST IDS_FULL = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_IDS_FULL
-- CONST REFUSED = APPEND_REFUSED
-- CONST APPEND_INBOX
-- CONST APPEND_REJECTS
-- CONST APPEND_KEYS_FULL
-- CONST APPEND_HASHED
-- CONST APPEND_SETTLES
-- CONST APPEND_COLLAPSES
-- CONST PURGED_AT_ONCE
-- PARTS what append_next put overflow collapse
-- REPLY [nn*n] sum_is_new store_ms outcome epoch seq change sent_ms expires_ms arrivals

-- What is known of the id, by a record that has not ended; and whether there is one that has.
local function record_of(key)
  local old = call('HGET', logs, key)
  local record = old or call('HGET', ids, key) or call('HGET', ids_before, key)
  if not record then return nil end
  local r = {}
  r.epoch, r.seq, r.change, r.sent, r.expires, r.upto, r.at = unpacked(ID, record)
  r.hash = string.sub(record, r.at)
  if r.upto > now then return r end
  return nil, old and true
end
-- Those with an Idempotency-Key, those of longer than a slice, and claims stay beside the logs.
local function remember(a, seq, expires, l)
  local record = pack(ID, l.epoch, seq, l.change, a.sent, expires, now + a.id_ttl) .. a.hash
  if a.hash == '' and a.claim == 0 and a.id_ttl <= SLICE_MS then
    call('HSET', ids, a.key, record)
    call('ZADD', due, slice_began + 2 * SLICE_MS, 'i' .. slice)
    l.last, l.dirty = now, true
    return
  end
  if a.hash ~= '' then count('keyed', 1) end
  call('HSET', logs, a.key, record)
  call('ZADD', due, now + a.id_ttl, 'k' .. a.key)
end
local function store(a)
  local l = open(a.name, epoch)
  local old = replaced_by(l, a) -- which leaves its place
  local waiting, bytes = l.waiting - (old and 1 or 0), l.waiting_bytes - (old and entry(l, old).size or 0)
  if a.is_reject_new and (waiting >= a.messages_max or bytes + a.payload > a.bytes_max) then return FULL, 0, 0, 0, 0, 0, 0 end
  local expires = now + a.kept
  if a.ends ~= 0 and a.ends < expires then expires = a.ends end
  if old then collapse(l, old) end
  put(l, a, expires)
  keep_collapsible(l, a)
  overflow(l, a)
  remember(a, l.head, expires, l)
  return STORED, l.epoch, l.head, l.change, a.sent, expires, l.arrivals
end
local function read(what, name, id, message)
  local a, flags, behind = {name = name, message = message, key = name .. '\0i' .. id}, nil, nil
  flags, a.id_ttl, a.not_after, a.messages_max, a.bytes_max, a.kept, a.ends, a.sent, a.payload, a.claim, a.ttl, behind = unpacked(WHAT, what)
  local function has(bit) return flags % (2 * bit) >= bit end
  a.is_inbox, a.is_reject_new, a.is_keys_full, a.settles = has(APPEND_INBOX), has(APPEND_REJECTS), has(APPEND_KEYS_FULL), has(APPEND_SETTLES)
  a.hash = has(APPEND_HASHED) and string.sub(what, behind, behind + 15) or ''
  a.collapse_key, behind = '', behind + #a.hash
  if has(APPEND_COLLAPSES) then a.collapse_key, behind = unpacked('<Bc0', what, behind) end
  a.names = string.sub(what, behind)
  a.is_undated = a.sent == 0
  if a.is_undated then a.sent = now end
  if a.ttl ~= 0 then a.ends = now + a.ttl end
  return a
end
-- Of a durable message that is marked: its id is remembered as long as others are.
local function settle(a, known)
  if known and known.hash == a.hash and call('HEXISTS', logs, a.key) == 1 then
    call('HSET', logs, a.key, pack(ID, known.epoch, known.seq, known.change, known.sent, known.expires, now + a.id_ttl) .. known.hash)
    call('ZADD', due, now + a.id_ttl, 'k' .. a.key)
  end
  return REPLAYED, 0, 0, 0, 0, 0, 0
end
local function append(a)
  local known, is_over = record_of(a.key)
  if known and not a.settles then
    return known.hash == a.hash and REPLAYED or MISMATCH, known.epoch, known.seq, known.change, known.sent, known.expires, 0
  end
  local full = redis.pcall('SETRANGE', nothing, 0, '')
  if type(full) == 'table' then
    if not string.find(full.err, 'OOM', 1, true) then call('SETRANGE', nothing, 0, '') end -- it is not the primary: the script's error
    return REFUSED, 0, 0, 0, 0, 0, 0
  end
  if a.settles then return settle(a, known) end
  local l = open(a.name)
  if l and l.registered ~= 0 and l.registered <= now then expire(l, PURGED_AT_ONCE) end
  if is_over then forget_id(a.key) end
  if a.not_after ~= 0 and now > a.not_after then return TOO_LATE, 0, 0, 0, 0, 0, 0 end
  if a.hash ~= '' and a.is_keys_full then return IDS_FULL, 0, 0, 0, 0, 0, 0 end
  if a.claim == 0 then return store(a) end
  remember(a, 0, a.ends, {epoch = a.claim, change = 0})
  return STORED, a.claim, 0, 0, a.sent, a.ends, 0
end
if call('EXISTS', base .. 'sum') == 0 then out[1] = 1 end
for i = at, count_of_args, 4 do
  local n = #out
  place = (i - rest) / 4
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5], out[n + 6], out[n + 7] =
    append(read(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]))
end
finish()
for _, it in ipairs(ended) do out[#out + 1] = it end
out[#out + 1] = #ended / 3
return out
