-- A session was taken over whose client lived. The last TAKEOVERS_PER_MINUTE moments are all that a login asks for.
--
-- KEYS rows: the user's, by device
-- KEYS takeovers: the moments of the last ones by device, the newest first
-- ARGV device text: whose session it was
-- CONST TAKEOVERS_PER_MINUTE
-- CONST TAKEOVER_WINDOW_MS
-- PARTS clock
-- REPLY i

if call('HEXISTS', rows, device) == 0 then return 0 end
local at, n = F(now), 1
for before in (call('HGET', takeovers, device) or ''):gmatch('%d+') do
  n = n + 1
  if n <= TAKEOVERS_PER_MINUTE then at = at .. ' ' .. before end
end
call('HSET', takeovers, device, at)
call('PEXPIRE', takeovers, TAKEOVER_WINDOW_MS)
return 1
