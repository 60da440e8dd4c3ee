-- Puts rows back into a log that has lost them, under their seqs and behind what it has, as far as its limits go: the newest stay. Then
-- the log goes on. A row that is there, or was and has met its end, is left. One whose place is gone, since the log went on without it,
-- or in another epoch, is answered as lost, and so is each for which there is no memory. An id that is still to be known is, also of a
-- row that has met its end. Without rows the script answers whether the log lacks any up to that seq, and from where on.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: of the log: the user's, or the stream's number
-- ARGV wanted number: the epoch of the rows
-- ARGV upto number: the last seq of them all
-- ARGV is_inbox flag: else a broadcast
-- ARGV is_last flag: no more of this log follow
-- REST what, message: of each row, in the order of their seqs; behind the numbers of `what` the hash, the id, the collapse key behind its
-- length, then the names of the devices between zeros
-- CONST THERE = RESTORE_THERE
-- CONST RESTORED = RESTORE_RESTORED
-- CONST LOST = RESTORE_LOST
-- PACK row seq 8, sent 8, ends 8, told 1, messages 8, bytes 8, id_ttl 8, hash_len 1, id_len 1
-- PARTS put overflow collapse recalled
-- REPLY [nn*n] lacks after outcome

local l = open(name, wanted, true)
local is_behind = l.dirty
local function jump_of(seq)
  for _, r in ipairs(ranges_of(l)) do
    if r[3] == GAP_STORE_RESTARTED and seq >= r[1] and seq <= r[2] then return r end
  end
end
-- From where on something may lack: behind the end, or in the first jump, which nobody may have filled.
local function lacks()
  if l.epoch ~= wanted then return 1, 0 end
  for _, r in ipairs(ranges_of(l)) do
    if r[3] == GAP_STORE_RESTARTED and r[1] <= upto then return 1, r[1] - 1 end
  end
  return is_behind and upto > l.head and 1 or 0, l.head
end
if rest > #ARGV then
  local answer, after = lacks()
  return {answer, after}
end
local full = redis.pcall('SETRANGE', nothing, 0, '')
local is_full = type(full) == 'table'
if is_full and not string.find(full.err, 'OOM', 1, true) then call('SETRANGE', nothing, 0, '') end -- it is not the primary: the script's error
if is_full then no_growth() end
-- Whoever sends it again finds it.
local function remember(id, hash, id_ttl, numbers)
  local key = name .. '\0i' .. id
  if id_ttl == 0 or call('HEXISTS', logs, key) == 1 then return end
  if hash ~= '' then count('keyed', 1) end
  call('HSET', logs, key, pack(ID, wanted, numbers.seq, l.change, numbers.sent, numbers.ends, now + id_ttl) .. hash)
  call('ZADD', due, now + id_ttl, 'k' .. key)
end
-- Its place is a gap, and whoever recalls it once more finds it.
local function restore_recalled(id, seq, sent, ends)
  if ends <= now or l.epoch ~= wanted or not is_behind or seq <= l.head or is_full then return THERE end
  if seq > l.head + 1 then skip_to(l, seq - 1) end
  runs_of(l)
  range_add(l, seq, seq, GAP_RECALLED)
  if l.count == 0 then l.handled = seq end
  l.head = seq
  keep_recalled(name, id, seq, sent, ends)
  return THERE
end
local function restore(what, message)
  local seq, sent, ends, told, messages_max, bytes_max, id_ttl, hash_len, id_len, at = unpacked(ROW, what)
  local hash, id = string.sub(what, at, at + hash_len - 1), string.sub(what, at + hash_len, at + hash_len + id_len - 1)
  at = at + hash_len + id_len
  if is_behind and l.epoch == wanted and seq > l.head and not is_full then remember(id, hash, id_ttl, {seq = seq, sent = sent, ends = ends}) end
  if told >= 8 then return restore_recalled(id, seq, sent, ends) end
  if ends <= now or told >= 4 or (l.epoch == wanted and has_between(l, seq, seq)) then return THERE end
  if l.epoch ~= wanted or jump_of(seq) then return LOST end
  if not is_behind or seq <= l.head then return THERE end
  if is_full then return LOST end
  if seq > l.head + 1 then skip_to(l, seq - 1) end
  local a = {message = message, is_undated = told % 2 == 1, ttl = told % 4 >= 2 and 1 or 0, sent = sent, is_inbox = is_inbox}
  a.collapse_key, at = unpacked('<Bc0', what, at)
  a.names = string.sub(what, at)
  local old = replaced_by(l, a)
  if old then collapse(l, old) end
  put(l, a, ends)
  keep_collapsible(l, a)
  overflow(l, {messages_max = messages_max, bytes_max = bytes_max})
  return RESTORED
end
local out = {0, 0}
for i = rest, #ARGV, 2 do out[#out + 1] = restore(ARGV[i], ARGV[i + 1]) end
if is_behind and l.epoch == wanted then
  if is_last then go_on(l) else l.history = string.rep('\0', #history) end
  l.dirty = true
else
  l.dirty = false
end
finish()
return out
