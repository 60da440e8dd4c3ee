-- Appends as most of them are: to an inbox in which nothing is due, full or named, of a message for all devices whose id is new, with
-- an Idempotency-Key or without. The first one that is otherwise, and all behind it, are left to append.lua: they begin at `at`, and the
-- answers so far are in `out`. What stands here and there does the same: tests/unit/saver/test_store_ways.c compares them.
--
-- CONST ID_KEPT_MIN_MS
-- CONST PLAIN = APPEND_INBOX
-- CONST PLAIN_REJECTS = APPEND_INBOX_REJECTS
-- CONST KEYED = APPEND_INBOX_HASHED
-- CONST KEYED_REJECTS = APPEND_INBOX_HASHED_REJECTS
-- CONST STORED = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED
-- PARTS layout
local at, count_of_args, out, answers = rest, #ARGV, {0, now}, 2
local write, words, accepted, keyed, is_next, slice_is_due, met = {'HSET', logs}, 2, 0, 0, true, false, {}
while is_next and at < count_of_args do
  local name = ARGV[at + 1]
  -- A log that comes again is read again, so what is to be written of it is written first.
  if met[name] then
    call(unpack(write))
    write, words, met = {'HSET', logs}, 2, {}
  end
  local key = name .. '\0i' .. ARGV[at + 2]
  local got = call('HMGET', logs, name, key)
  local state, known = got[1], got[2]
  if not state then break end
  local form, epoch, head, change, ran, tail = unpacked(NEW, state)
  local registered, last = 0, 0
  if form >= 1 then registered, last, tail = unpacked(REST_OF_SHORT, state, tail) end
  local start, more, named, odd, count, waiting, handled, sum, bytes, waiting_bytes, top =
    head + 1, 0, 0, 0, 0, 0, head, 0, 0, 0, 0
  if form == 2 then
    start, more, named, odd, count, waiting, handled, sum, bytes, waiting_bytes, top, tail = unpacked(LONG, state, tail)
  end
  local arrivals = unpacked(ARRIVALS, state, tail)
  is_next = ran == history and (more == 0 or more == 8) and named == 0
  local before, last_slice = head, last
  while is_next do
    local flags, id_ttl, not_after, messages_max, bytes_max, kept, ends, sent, payload, claim, ttl, behind = unpacked(WHAT, ARGV[at])
    local message, expires, told = ARGV[at + 3], now + kept, 0
    local size = #message
    if sent == 0 then sent, told, size = now, 1, size + TIME_FIELD_BYTES end
    if ttl ~= 0 then ends, told, size = now + ttl, told + 2, size + TIME_FIELD_BYTES end
    if ends ~= 0 and ends < expires then expires = ends end
    local is_keyed = flags == KEYED or flags == KEYED_REJECTS
    local is_plain = (flags == PLAIN or flags == PLAIN_REJECTS) and id_ttl == ID_KEPT_MIN_MS
    local is_in_time = not_after == 0 or now <= not_after
    local is_one_due = registered ~= 0 and registered <= now
    local ends_last = expires >= top
    -- Something leaves such a log, or the message is refused: what waits is never more than all that is there.
    local is_full = count >= messages_max or bytes + size > bytes_max
    is_next = (is_plain or is_keyed) and claim == 0 and not known and is_in_time and not is_one_due and ends_last and not is_full
    -- The slices of ids are asked only where they may have one.
    if is_next and last >= slice_began - SLICE_MS then is_next = not call('HGET', ids_before, key) end
    if is_next and is_keyed and last >= slice_began then is_next = not call('HGET', ids, key) end
    -- The first that may take memory: a full server refuses it, and all that comes behind it is done.
    local record = is_next and pack(ID, epoch, head + 1, change, sent, expires, now + id_ttl)
    if not is_next then
      break
    elseif is_keyed then
      is_next = redis.pcall('ZADD', due, now + id_ttl, 'k' .. key) == 1
      if not is_next then break end
      call('HSET', logs, key, record .. string.sub(ARGV[at], behind)) -- at once: the same id may come again behind it
      keyed = keyed + 1
    else
      is_next = redis.pcall('HSETNX', ids, key, record) == 1
      if not is_next then break end
      last = now
    end
    if not is_keyed and last_slice < slice_began and not slice_is_due then
      slice_is_due = true
      call('ZADD', due, slice_began + 2 * SLICE_MS, 'i' .. slice)
    end
    if registered == 0 or registered > expires then
      registered = expires
      call('ZADD', due, expires, 'l' .. name)
    end
    head, count, waiting, sum, bytes, waiting_bytes, top =
      head + 1, count + 1, waiting + 1, sum + size, bytes + size, waiting_bytes + size, expires
    write[words + 1] = name .. '\0m' .. pack('>I7', head)
    write[words + 2] = pack(ENTRY, sum, expires, sent, size, told) .. message
    words = words + 2
    out[answers + 1], out[answers + 2], out[answers + 3], out[answers + 4], out[answers + 5], out[answers + 6], out[answers + 7] =
      STORED, epoch, head, change, sent, expires, arrivals
    answers, accepted, at = answers + 7, accepted + 1, at + 4
    if ARGV[at + 1] ~= name then break end
    key = name .. '\0i' .. ARGV[at + 2]
    known = call('HGET', logs, key)
  end
  if head > before then
    met[name] = true
    write[words + 1] = name
    write[words + 2] = pack(BOTH, 2, epoch, head, change, history, registered, last, start, more, named, odd, count, waiting, handled, sum, bytes,
      waiting_bytes, top) .. string.sub(state, tail)
    words = words + 2
  end
end
if accepted > 0 then
  if words > 2 then call(unpack(write)) end
  if keyed > 0 then call('HINCRBY', base .. 'sum', 'keyed', keyed) end
  if call('HINCRBY', base .. 'sum', 'accepted', accepted) == accepted then out[1] = 1 end
  if at > count_of_args then
    out[answers + 1] = 0 -- none had to leave
    return out
  end
end
