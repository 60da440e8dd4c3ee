-- Append: idempotent by id, with a last moment, under the limits.
--
-- KEYS base: the front of the bucket's keys
-- ARGV run bytes: the server's run id, 16 characters of it
-- ARGV epoch number: of a log that is made now
-- ARGV name text: of the log: the user's, or the stream's number
-- ARGV key bytes: of the id
-- ARGV hash bytes: the body's, 16 bytes, or empty without an Idempotency-Key
-- ARGV id_ttl number ms: how long the id is remembered
-- ARGV not_after number ms: the last moment, Unix time; 0 = none
-- ARGV keys_full flag: a new Idempotency-Key is refused
-- ARGV is_inbox flag: else a broadcast
-- ARGV messages_max number: of the log
-- ARGV bytes_max number bytes: of the log
-- ARGV reject_new flag: what does not fit is refused; else the oldest goes
-- ARGV kept number ms: the log's retention
-- ARGV ends number ms: the message's end, Unix time; 0 = with the retention
-- ARGV sent digits ms: when it was sent, Unix time; 0 = now
-- ARGV payload_bytes number bytes: of the payload
-- ARGV names bytes: of the devices it is for, each between zeros; empty for all
-- ARGV message bytes: packed
-- ARGV claim number: 0, or the id is only remembered, with this for its epoch
-- ARGV ttl number ms: the end, counted from now; 0 = as ends says
-- CONST GAP_OVERFLOWED = HAWSER__V1__GAP_REASON__GAP_OVERFLOWED
-- CONST STORED = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED
-- CONST REPLAYED = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED
-- CONST MISMATCH = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH
-- CONST TOO_LATE = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE
-- CONST FULL = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_FULL
-- CONST IDS_FULL = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_IDS_FULL
-- PARTS entries
-- REPLY [*n] outcome store_ms sum_is_new epoch seq change sent_ms expires_ms

local is_undated = sent == '0'
if ttl ~= 0 then ends = now + ttl end
if is_undated then sent = F(now) end
local sum_is_new = call('EXISTS', base .. 'sum') == 0 and 1 or 0
-- The oldest that some device has handled: the first place where all and unhandled differ.
local function victim(l, all, unhandled)
  local low, high = 0, unhandled
  if all == unhandled then high = 0 end
  while low < high do
    local middle = math.floor((low + high) / 2)
    local m = call('ZRANGE', l.q, middle, middle)[1]
    if m == call('ZRANGE', l.n, middle, middle)[1] then low = middle + 1 else high = middle end
  end
  return call('ZRANGE', l.q, low, low)[1]
end
local function overflow(l)
  local all = call('ZCARD', l.q)
  while all > 1 and (all > messages_max or l.bytes > bytes_max) do
    drop(l, victim(l, all, call('ZCARD', l.n)), GAP_OVERFLOWED, 'overflowed')
    all = all - 1
  end
end
-- A number field of the packed message: of several the last one counts.
local function put_field(number, n)
  local out = {string.char(number * 8)}
  repeat
    local low = n % 128
    n = (n - low) / 128
    out[#out + 1] = string.char(n > 0 and low + 128 or low)
  until n == 0
  message = message .. table.concat(out)
end
local function remember(seq, expires, l)
  if hash ~= '' then count('keyed', 1) end
  call('HSET', base .. 'ids', key, F(l.epoch) .. ' ' .. F(seq) .. ' ' .. F(l.change) .. ' ' ..
    sent .. ' ' .. F(expires) .. ' ' .. hash)
  call('ZADD', base .. 'idx', F(now + id_ttl), key)
end
local function answer(outcome, ...)
  finish()
  return {outcome, now, sum_is_new, ...}
end
local record = call('HGET', base .. 'ids', key)
local is_over = record and tonumber(call('ZSCORE', base .. 'idx', key) or 0) <= now
if record and not is_over then
  local e, seq, change, first_sent, expires, first_hash =
    string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  return answer(first_hash == hash and REPLAYED or MISMATCH, e, seq, change, first_sent, expires)
end
grow()
purge(50)
if is_over then forget_id(key) end
if not_after ~= 0 and now > not_after then return answer(TOO_LATE, 0, 0, 0, 0, 0) end
if hash ~= '' and keys_full then
  return answer(IDS_FULL, 0, 0, 0, 0, 0)
end
if claim ~= 0 then
  remember(0, ends, {epoch = claim, change = 0})
  return answer(STORED, F(claim), 0, 0, sent, F(ends))
end
local l = open(name, epoch)
if reject_new and (call('ZCARD', l.n) >= messages_max or
  l.unhandled + payload_bytes > bytes_max) then
  return answer(FULL, 0, 0, 0, 0, 0)
end
local seq, expires = l.head + 1, now + kept
if ends ~= 0 and ends < expires then expires = ends end
if is_undated then put_field(3, now) end
if ttl ~= 0 then put_field(4, expires) end
local m = F(seq) .. ' ' .. F(expires) .. ' ' .. #message .. names
call('HSET', l.u, 'm' .. F(seq), message)
call('ZADD', l.q, F(seq), m)
call('ZADD', base .. 'exp', F(expires), F(seq) .. ' ' .. name)
l.head, l.bytes, l.dirty = seq, l.bytes + #message, true
if is_inbox then
  call('ZADD', l.n, F(seq), m)
  l.unhandled = l.unhandled + #message
  count('accepted', 1)
  count('pending', 1)
else
  count('broadcasts', 1)
end
overflow(l)
remember(seq, expires, l)
return answer(STORED, F(l.epoch), F(seq), F(l.change), sent, F(expires))
