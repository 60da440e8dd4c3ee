-- Acks as most of them are: of the inbox alone, by a session whose device is known by that generation, where nothing is due and no entry is
-- named, odd or missing between the others. The first one that is otherwise, and all behind it, are left to ack.lua: they begin
-- at `at`, and the answers so far are in `out`. What stands here and there does the same: tests/unit/saver/test_store_ways.c compares them.
--
-- CONST ACK_TAKEN
-- CONST ACK_REMOVED_MAX
-- PARTS upto layout
local at, count_of_args, out, answers, acked = rest, #ARGV, {}, 0, 0
while at < count_of_args do
  local name, device = ARGV[at + 1], ARGV[at + 2]
  local generation, _, _, _, _, positions, stream, epoch_of, seq = unpacked(ONE, ARGV[at])
  local state = positions == 1 and stream == 0 and call('HGET', logs, name)
  if not state then break end
  local form, epoch, head, change, ran, tail = unpacked(NEW, state)
  local registered, last = 0, 0
  if form >= 1 then registered, last, tail = unpacked(REST_OF_SHORT, state, tail) end
  local start, more, named, odd, count, waiting, handled, sum, bytes, waiting_bytes, top =
    head + 1, 0, 0, 0, 0, 0, head, 0, 0, 0, 0
  if form == 2 then
    start, more, named, odd, count, waiting, handled, sum, bytes, waiting_bytes, top, tail = unpacked(LONG, state, tail)
  end
  if ran ~= history or (more ~= 0 and more ~= 8) or named ~= 0 or odd ~= 0 or (registered ~= 0 and registered <= now) then break end
  -- Where this device stands, and where the last of the others is.
  local _, devices, offset = unpacked(BEFORE_DEVICES, state, tail)
  local all, own_at, own_end, own = seq, nil, nil, 0
  local e1, s1, e2, s2
  for _ = 1, devices do
    local began = offset
    local other, given, _, in_epoch, in_seq, news_epoch, news_seq, bulk_epoch, bulk_seq
    other, given, _, in_epoch, in_seq, news_epoch, news_seq, bulk_epoch, bulk_seq, offset = unpacked(DEVICE, state, offset)
    if in_epoch ~= epoch or in_seq > head then in_seq = 0 end
    if other ~= device then
      if in_seq < all then all = in_seq end
    elseif given == generation then
      own_at, own_end, own, e1, s1, e2, s2 = began, offset, in_seq, news_epoch, news_seq, bulk_epoch, bulk_seq
    end
  end
  if not own_at or epoch_of ~= epoch or seq <= own or seq > head or all - start >= ACK_REMOVED_MAX then break end
  local left, acked_first, acked_last = ACK_TAKEN, 0, 0
  local first = handled >= start and handled + 1 or start
  if seq >= first then
    waiting, acked, acked_first, acked_last = waiting - (seq - first + 1), acked + seq - first + 1, first, seq
    waiting_bytes = seq == head and 0 or sum - unpacked('<I6', call('HGET', logs, name .. '\0m' .. pack('>I7', seq)))
  end
  if seq > handled then handled = seq end
  if all >= start then
    bytes = all == head and 0 or sum - unpacked('<I6', call('HGET', logs, name .. '\0m' .. pack('>I7', all)))
    if all == start then
      call('HDEL', logs, name .. '\0m' .. pack('>I7', all))
    else
      local gone = {}
      for s = start, all do gone[s - start + 1] = name .. '\0m' .. pack('>I7', s) end
      call('HDEL', logs, unpack(gone))
    end
    count, start, left = count - (all - start + 1), all + 1, ACK_TAKEN + all
    if count == 0 and more == 8 then call('HDEL', logs, name .. '\0c') end
  elseif at == rest then
    call('DEL', nothing)
  end
  local packed = count == 0 and pack(SHORT, 1, epoch, head, change, history, registered, last) or
    pack(BOTH, 2, epoch, head, change, history, registered, last, start, more, named, odd, count, waiting, handled, sum, bytes, waiting_bytes, top)
  call('HSET', logs, name, packed .. string.sub(state, tail, own_at - 1) .. pack('<B', #device) .. device ..
    pack('<I7I6I7I7I7I7I7I7', generation, now, epoch, seq, e1, s1, e2, s2) .. string.sub(state, own_end))
  out[answers + 1], out[answers + 2], out[answers + 3] = left, acked_first, acked_last
  at, answers = at + 3, answers + 3
end
if acked > 0 then call('HINCRBY', base .. 'sum', 'acked', acked) end
if at > count_of_args then
  out[answers + 1] = 0 -- one run of each
  return out
end
