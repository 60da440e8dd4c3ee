-- Attach: a session begins. The script answers where each stream goes on, and whether that is a reset; and behind all the runs of messages that the
-- client's own positions were the first to acknowledge.
-- Most go a shorter way (part/attach_next.lua), which does the same: tests/unit/saver/test_store_ways.c compares them.
--
-- KEYS base: the front of the bucket's keys
-- ARGV what bytes: what redis_devices.c packs
-- ARGV user text: the inbox
-- ARGV name text: of the device
-- REST device text: each that the register has
-- CONST DEVICE_FORGOTTEN_MS
-- CONST STREAMS
-- CONST PURGED_AT_ONCE
-- PARTS base attach_next devices
-- REPLY [*n] stale after reset after_news reset_news after_bulk reset_bulk epoch head change known acked

local l = open(user, epoch)
local d = device_of(l, name)
if d then no_growth() else grow() end
if l.registered ~= 0 and l.registered <= now then expire(l, PURGED_AT_ONCE) end
local heads = {{l.epoch, l.head}, {news_epoch, news_head}, {bulk_epoch, bulk_head}}
local have = {has_inbox and {inbox_have_epoch, inbox_have_seq}, has_news and {news_have_epoch, news_have_seq},
  has_bulk and {bulk_have_epoch, bulk_have_seq}}
local is_new, from, was_at = not d, 0, 0
-- Those unseen too long, then those that the register does not have, and then the one unseen
-- longest, so that there is a place for one more.
local function make_place()
  local by_age, known = {}, {}
  for i = rest, #ARGV do known[ARGV[i]] = true end
  for _, it in ipairs(devices_of(l)) do
    if it.seen >= now - DEVICE_FORGOTTEN_MS then by_age[#by_age + 1] = it end
  end
  table.sort(by_age, function(a, b)
    if known[a.name] ~= known[b.name] then return known[b.name] == true end
    if a.seen ~= b.seen then return a.seen < b.seen end
    return a.name < b.name
  end)
  for _ = 1, max > 0 and #by_age - max + 1 or 0 do table.remove(by_age, 1) end
  l.devices = by_age
end
-- Where stream i goes on, and whether that is a reset. A client that has nothing yet says so
-- with epoch 0: that is no other log's position.
local function start_of(i)
  local given, log_epoch, head = have[i], heads[i][1], heads[i][2]
  local copy = d.at[i]
  local at = given or copy
  local is_blank = given and at[1] == 0 and at[2] == 0
  if is_right(at, log_epoch, head) then return at[2], 0 end
  local after = i == 1 and first_unhandled(l) or head
  if is_right(copy, log_epoch, head) and (i == 1 or is_blank) then after = copy[2] end
  return after, (is_blank or (is_new and not given)) and 0 or 1
end
if d and d.generation > generation then
  finish()
  return {1}
end
if is_new then
  make_place()
  d = {name = name, at = {{l.epoch, first_unhandled(l)}, heads[2], heads[3]}}
  l.devices[#l.devices + 1] = d
  was_at = position_of(l, d)
else
  from = position_of(l, d)
  was_at = from
end
d.generation, d.seen = generation, now
arrive(l)
local out = {0}
for i = 1, STREAMS do
  local after, reset = start_of(i)
  d.at[i] = {heads[i][1], after}
  out[#out + 1] = after
  out[#out + 1] = reset
end
mark_handled(l, d, was_at)
prune(l, from)
finish()
out[#out + 1] = l.epoch
out[#out + 1] = l.head
out[#out + 1] = l.change
out[#out + 1] = is_new and 0 or 1
for _, run in ipairs(acked_runs) do out[#out + 1], out[#out + 2] = run[1], run[2] end
return out
