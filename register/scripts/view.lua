-- Which runs live. The script answers {live} {not gone for good} now; "*" among the latter is any run but those behind a "-": a store
-- that has just begun, or lost its directory, does not know who is gone.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- CONST GONE_FOR_GOOD_MS
-- PARTS directory memory
-- REPLY [[*s][*s]n] live undead store_ms

no_growth()
note_presence()
local live, undead = {}, {}
local l = call('ZRANGE', dir .. ':l', 0, -1, 'WITHSCORES')
for i = 1, #l, 2 do
  if tonumber(l[i + 1]) > now then live[#live + 1] = l[i] end
  undead[#undead + 1] = l[i]
end
local g = call('HGETALL', dir .. ':g')
for i = 1, #g, 2 do
  local at, clean = g[i + 1]:match('^(%d+) (%d)$')
  local may_come_back = clean == '0' and tonumber(at) + GONE_FOR_GOOD_MS > now
  undead[#undead + 1] = may_come_back and g[i] or '-' .. g[i]
end
local since = tonumber(call('HGET', dir .. ':h', 'since') or now)
if since + GONE_FOR_GOOD_MS > now then undead[#undead + 1] = '*' end
return {live, undead, F(now)}
