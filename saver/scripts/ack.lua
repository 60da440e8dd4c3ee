-- Ack: a device's positions rise, if it has the highest generation seen.
--
-- KEYS base: the front of the bucket's keys
-- ARGV run bytes: the server's run id, 16 characters of it
-- ARGV user text: the inbox
-- ARGV name text: of the device
-- ARGV generation number: of its session
-- ARGV news_epoch number: where the news stands
-- ARGV news_head number: likewise
-- ARGV bulk_epoch number: where bulk stands
-- ARGV bulk_head number: likewise
-- REST stream number, epoch number, seq number: each position that has been handled
-- CONST ACK_TAKEN
-- CONST ACK_STALE
-- CONST ACK_UNKNOWN
-- PARTS entries devices
-- REPLY i

no_growth()
purge(20)
local l = open(user)
local d = l and device_of(l, name)
if not d or d.generation ~= generation then
  finish()
  return d and d.generation > generation and ACK_STALE or ACK_UNKNOWN
end
local heads = {{l.epoch, l.head}, {news_epoch, news_head}, {bulk_epoch, bulk_head}}
local from = place(l, d)
d.seen = now
for a = rest, #ARGV, 3 do
  local i, epoch, seq = tonumber(ARGV[a]) + 1, tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local at = d.at[i]
  if is_right({epoch, seq}, heads[i][1], heads[i][2]) and
    (at[1] ~= epoch or seq > at[2]) then
    d.at[i] = {epoch, seq}
  end
end
save_device(l, name, d)
if place(l, d) > from then
  mark_handled(l, name, d, from)
  prune(l, devices_of(l), from)
end
finish()
return ACK_TAKEN
