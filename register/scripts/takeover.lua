-- A session was taken over whose client lived. The last TAKEOVERS_PER_MINUTE moments are all that a login asks for.
--
-- KEYS rows: of the bucket, by user
-- KEYS takeovers: the moments of the user's last ones by device, the newest first
-- ARGV user text: whose session it was
-- ARGV device text: likewise
-- CONST TAKEOVERS_PER_MINUTE
-- CONST TAKEOVER_WINDOW_MS
-- PARTS rows
-- REPLY i

local _, is_new = row_in(rows_of(call('HGET', rows, user)), device)
if is_new then return 0 end
local at, n = F(now), 1
for before in (call('HGET', takeovers, device) or ''):gmatch('%d+') do
  n = n + 1
  if n <= TAKEOVERS_PER_MINUTE then at = at .. ' ' .. before end
end
call('HSET', takeovers, device, at)
call('PEXPIRE', takeovers, TAKEOVER_WINDOW_MS)
return 1
