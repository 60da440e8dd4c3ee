-- A login as most of them are: of a device that is known, with positions of these logs that are where they were, and nothing is due; or the
-- first one of a user, with no position. Others are left to attach.lua. What stands here and there does the same:
-- tests/unit/saver/test_store_ways.c compares them.
--
-- `what`: the session's generation, how many devices the user may have (0: any number), an inbox's epoch if it is made now, where
-- news and bulk stand, which positions the client brings (1 inbox, 2 news, 4 bulk), and these.
--
-- PARTS layout
local generation, max, epoch, news_epoch, news_head, bulk_epoch, bulk_head, given, inbox_have_epoch, inbox_have_seq, news_have_epoch,
  news_have_seq, bulk_have_epoch, bulk_have_seq = unpacked('<I8I8I8I8I8I8I8BI8I8I8I8I8I8', what)
local has_inbox, has_news, has_bulk = given % 2 == 1, given % 4 >= 2, given >= 4
local state = call('HGET', logs, user)
if not state then
  -- A client that has nothing yet says so with zeros, which is no position either.
  if inbox_have_epoch + inbox_have_seq + news_have_epoch + news_have_seq + bulk_have_epoch + bulk_have_seq == 0 then
    call('HSET', logs, user, pack(NEW, 0, epoch, 0, 0, history) .. pack('<I2I2B', 1, 1, #name) .. name ..
      pack('<I7I6I7I7I7I7I7I7', generation, now, epoch, 0, news_epoch, news_head, bulk_epoch, bulk_head))
    return {0, 0, 0, news_head, 0, bulk_head, 0, epoch, 0, 0, 0}
  end
else
  local form, log_epoch, head, change, ran, tail = unpacked(NEW, state)
  local registered, count, _ = 0, 0, nil
  if form >= 1 then registered, _, tail = unpacked(REST_OF_SHORT, state, tail) end
  if form == 2 then _, _, _, _, count, _, _, _, _, _, _, tail = unpacked(LONG, state, tail) end
  if ran == history and (registered == 0 or registered > now) then
    local arrivals, devices, offset = unpacked(BEFORE_DEVICES, state, tail)
    for _ = 1, devices do
      local began, other, held, e1, s1, e2, s2, e3, s3 = offset, nil, nil, nil, nil, nil, nil, nil, nil
      other, held, _, e1, s1, e2, s2, e3, s3, offset = unpacked(DEVICE, state, offset)
      if other == name then
        local was = e1 == log_epoch and s1 <= head and s1 or 0
        if has_inbox then e1, s1 = inbox_have_epoch, inbox_have_seq end
        if has_news then e2, s2 = news_have_epoch, news_have_seq end
        if has_bulk then e3, s3 = bulk_have_epoch, bulk_have_seq end
        if held > generation or e1 ~= log_epoch or s1 > head or (count > 0 and s1 > was) or e2 ~= news_epoch or s2 > news_head or
          e3 ~= bulk_epoch or s3 > bulk_head then
          break
        end
        call('DEL', nothing)
        call('HSET', logs, user, string.sub(state, 1, tail - 1) .. pack(ARRIVALS, (arrivals + 1) % 65536) ..
          string.sub(state, tail + 2, began + #name) ..
          pack('<I7I6I7I7I7I7I7I7', generation, now, e1, s1, e2, s2, e3, s3) .. string.sub(state, offset))
        return {0, s1, 0, s2, 0, s3, 0, log_epoch, head, change, 1}
      end
    end
  end
end
