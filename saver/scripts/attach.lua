-- Attach: a session begins. The script answers where each stream goes on, and whether that is a reset.
--
-- KEYS base: the front of the bucket's keys
-- ARGV run bytes: the server's run id, 16 characters of it
-- ARGV epoch number: of an inbox that is made now
-- ARGV user text: the inbox
-- ARGV name text: of the device
-- ARGV generation number: of its session
-- ARGV max number: devices of the user; 0 = no bound
-- ARGV news_epoch number: where the news stands
-- ARGV news_head number: likewise
-- ARGV bulk_epoch number: where bulk stands
-- ARGV bulk_head number: likewise
-- ARGV has_inbox flag: the client brings a position in the inbox
-- ARGV inbox_have_epoch number: that position
-- ARGV inbox_have_seq number: likewise
-- ARGV has_news flag: and in the news
-- ARGV news_have_epoch number: that position
-- ARGV news_have_seq number: likewise
-- ARGV has_bulk flag: and in bulk
-- ARGV bulk_have_epoch number: that position
-- ARGV bulk_have_seq number: likewise
-- REST device text: each that the register has
-- CONST DEVICE_FORGOTTEN_MS
-- PARTS entries devices
-- REPLY [*n] stale after reset after_news reset_news after_bulk reset_bulk epoch head change

local forgotten = now - DEVICE_FORGOTTEN_MS
if is_there(user) and call('HEXISTS', base .. 'v:' .. user, name) == 1 then no_growth() else grow() end
purge(20)
local l = open(user, epoch)
local heads = {{l.epoch, l.head}, {news_epoch, news_head}, {bulk_epoch, bulk_head}}
local have = {has_inbox and {inbox_have_epoch, inbox_have_seq}, has_news and {news_have_epoch, news_have_seq},
  has_bulk and {bulk_have_epoch, bulk_have_seq}}
local all = devices_of(l)
local d, is_new, from = all[name], not all[name], 0
local function forget(device)
  all[device] = nil
  call('HDEL', l.v, device)
end
-- Those unseen too long, then those that the register does not have, and then the one unseen
-- longest, so that there is a place for one more.
local function make_place()
  local by_age, known = {}, {}
  for i = rest, #ARGV do known[ARGV[i]] = true end
  for device, it in pairs(all) do
    if it.seen < forgotten then forget(device) else by_age[#by_age + 1] = device end
  end
  table.sort(by_age, function(a, b)
    if known[a] ~= known[b] then return known[b] == true end
    if all[a].seen ~= all[b].seen then return all[a].seen < all[b].seen end
    return a < b
  end)
  for i = 1, max > 0 and #by_age - max + 1 or 0 do forget(by_age[i]) end
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
  d = {at = {{l.epoch, first_unhandled(l)}, heads[2], heads[3]}}
  all[name] = d
else
  from = place(l, d)
end
d.generation, d.seen = generation, now
local out = {0}
for i = 1, STREAMS do
  local after, reset = start_of(i)
  d.at[i] = {heads[i][1], after}
  out[#out + 1] = F(after)
  out[#out + 1] = reset
end
save_device(l, name, d)
mark_handled(l, name, d, from)
prune(l, all, from)
finish()
out[#out + 1] = F(l.epoch)
out[#out + 1] = F(l.head)
out[#out + 1] = F(l.change)
return out
