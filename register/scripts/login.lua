-- A login takes its device's row. The script answers whether it is refused, after what time to come again, the generation, and of the row
-- before: whether it was online, and live, its incarnation, slot, generation, room, address and since; then the runs whose rows gave way,
-- and all devices if this one is new. Refused for the devices it answers 1 for the generation.
--
-- KEYS rows: the user's, by device
-- KEYS takeovers: the moments of the last ones by device, the newest first; it ends with its user's last minute
-- ARGV device text: whose login it is
-- ARGV room text: where it is
-- ARGV inc digits: the room's incarnation
-- ARGV slot digits: the session's there
-- ARGV address text: the client's
-- ARGV not_after number ms: the last moment, Unix time; 0 = none
-- ARGV ago number ms: so long ago its client may have asked; 0 = just now
-- ARGV live bytes: incarnations of those that live, each between spaces
-- ARGV max number: devices of the user
-- CONST CLOSE_BUSY
-- CONST CLOSE_RATE_LIMITED
-- CONST TAKEOVERS_PER_MINUTE
-- CONST TAKEOVER_WINDOW_MS
-- PARTS places
-- REPLY [nn*i]|[iisssssssss[*s][*s]] refused retry_after generation was_online replaces before_inc before_slot before_generation before_room before_address before_since runs devices

if not_after ~= 0 and now > not_after then return {CLOSE_BUSY, 0} end
local r, is_new = get(device)
-- Which of the two logins was asked for later nobody knows: who is still there asks again.
if ago ~= 0 and r.on == '1' and r.login + ago >= now then return {CLOSE_BUSY, 0} end
local gone, stay, has_place = {}, {}, true
if is_new or call('HLEN', rows) > max then
  gone, stay, has_place = places(device, max, live)
end
if is_new and not has_place then return {CLOSE_RATE_LIMITED, 0, 1} end
local replaces = r.on == '1' and has(live, r.inc)
if replaces then
  local n, oldest = 0, nil
  for at in (call('HGET', takeovers, device) or ''):gmatch('%d+') do n, oldest = n + 1, tonumber(at) end
  local over = n == TAKEOVERS_PER_MINUTE and oldest + TAKEOVER_WINDOW_MS or now
  if over > now and over <= now + TAKEOVER_WINDOW_MS then return {CLOSE_RATE_LIMITED, F(over - now), 0} end
end
local was = {0, 0, '', r.on, replaces and '1' or '0', r.inc, r.slot, F(r.gen), r.room, r.addr, F(r.since)}
r.gen = math.max(r.gen + 1, now)
r.login = r.gen
r.room, r.inc, r.slot, r.addr = room, inc, slot, address
r.since, r.seen, r.on = now, now, '1'
put(device, r)
was[3] = F(r.gen)
was[12] = let_go(gone)
if is_new then stay[#stay + 1] = device else stay = {} end
was[13] = stay
return was
