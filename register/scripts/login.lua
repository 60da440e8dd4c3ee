-- A login takes its device's row. The script answers whether it is refused, after what time to come again, the generation, and of the row
-- before: whether it was online, and live, its incarnation, slot, generation, room, address and since; then the runs whose rows gave way,
-- and all devices if this one is new. Refused for the devices it answers 1 for the generation.
--
-- KEYS rows: of the bucket, by user
-- KEYS takeovers: the moments of the user's last ones by device, the newest first; it ends with its user's last minute
-- ARGV user text: whose login it is
-- ARGV device text: likewise
-- ARGV room bytes: where it is
-- ARGV inc number: the room's incarnation
-- ARGV slot bytes: the session's there
-- ARGV address bytes: the client's
-- ARGV not_after number ms: the last moment, Unix time; 0 = none
-- ARGV ago number ms: so long ago its client may have asked; 0 = just now
-- ARGV live bytes: incarnations of those that live, each between spaces
-- ARGV max number: devices of the user
-- CONST CLOSE_RATE_LIMITED
-- CONST TAKEOVERS_PER_MINUTE
-- CONST TAKEOVER_WINDOW_MS
-- PARTS login_next places
-- REPLY [nn*i]|[iinnnnsnssn[*s][*s]] refused retry_after generation was_online replaces before_inc before_slot before_generation before_room before_address before_since runs devices

local list = rows_of(packed)
local r, is_new = row_in(list, device)
-- Which of the two logins was asked for later nobody knows: who is still there asks again.
if ago ~= 0 and r.on == 1 and r.login + ago >= now then return {CLOSE_BUSY, 0} end
local gone, stay, has_place = {}, {}, true
if is_new or #list > max then
  gone, stay, has_place = places(list, device, max, live)
end
if is_new and not has_place then return {CLOSE_RATE_LIMITED, 0, 1} end
local replaces = r.on == 1 and has(live, r.inc)
if replaces then
  local n, oldest = 0, nil
  for at in (call('HGET', takeovers, device) or ''):gmatch('%d+') do n, oldest = n + 1, tonumber(at) end
  local over = n == TAKEOVERS_PER_MINUTE and oldest + TAKEOVER_WINDOW_MS or now
  if over > now and over <= now + TAKEOVER_WINDOW_MS then return {CLOSE_RATE_LIMITED, over - now, 0} end
end
local gen = math.max(r.gen + 1, now)
local was = {0, 0, gen, r.on, replaces and 1 or 0, r.inc, r.slot, r.gen, r.room, r.address, r.since, runs_of(gone), {}}
r.gen, r.login, r.room, r.inc, r.slot, r.address = gen, gen, room, inc, slot, address
r.since, r.seen, r.on = now, now, 1
if is_new or #list > max then
  stay[#stay + 1] = r
  list = stay
end
save(list, is_new)
if is_new then
  for i, other in ipairs(stay) do was[13][i] = other.device end
end
return was
