-- Acks in one bucket: a device's positions rise, if it has the highest generation seen. The script answers of each how it
-- ended, and what has left the inbox by it (saver_script_values.h), and the first run of messages that it was the first to acknowledge: of the others the
-- place of the ack, and from where to where, stand behind all; and then how many those are.
-- Most acks go a shorter way (part/ack_next.lua), which does the same: tests/unit/saver/test_store_ways.c compares them.
--
-- KEYS base: the front of the bucket's keys
-- REST upto, user, name: of each; `upto` is what redis_devices.c packs, `name` the device
-- CONST ACK_STALE
-- CONST ACK_UNKNOWN
-- CONST PURGED_AT_ONCE
-- PARTS base ack_next devices
-- REPLY [*n]

local function ack(packed, user, name)
  acked_runs = {}
  local generation, news_epoch, news_head, bulk_epoch, bulk_head, positions, behind = unpacked(FIXED, packed)
  local l = open(user)
  if l and l.registered ~= 0 and l.registered <= now then expire(l, PURGED_AT_ONCE) end
  local d = l and device_of(l, name)
  if not d or d.generation ~= generation then return d and d.generation > generation and ACK_STALE or ACK_UNKNOWN end
  local heads = {{l.epoch, l.head}, {news_epoch, news_head}, {bulk_epoch, bulk_head}}
  local from = position_of(l, d)
  d.seen, l.dirty = now, true
  for _ = 1, positions do
    local stream, epoch, seq
    stream, epoch, seq, behind = unpacked(POSITION, packed, behind)
    local held, head = d.at[stream + 1], heads[stream + 1]
    if is_right({epoch, seq}, head[1], head[2]) and (held[1] ~= epoch or seq > held[2]) then d.at[stream + 1] = {epoch, seq} end
  end
  if position_of(l, d) > from then
    mark_handled(l, d, from)
    if prune(l, from) then return ACK_TAKEN + (first_of(l) or l.head + 1) - 1 end
  end
  return ACK_TAKEN
end
no_growth()
local others = {}
for i = at, count_of_args, 3 do
  local n = #out
  out[n + 1] = ack(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  local first = acked_runs[1] or {0, 0}
  out[n + 2], out[n + 3] = first[1], first[2]
  for k = 2, #acked_runs do
    local o = #others
    others[o + 1], others[o + 2], others[o + 3] = (i - rest) / 3, acked_runs[k][1], acked_runs[k][2]
  end
end
finish()
for _, it in ipairs(others) do out[#out + 1] = it end
out[#out + 1] = #others / 3
return out
