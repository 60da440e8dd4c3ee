-- The directory: how a run ends, and what each look at it does first. docs/REDIS.md has the keys behind `dir`.
--
-- CONST AWAY_MS
-- CONST SEEN_MS
-- PARTS clock

local nothing = dir .. ':nothing'
local function gone(inc, clean)
  call('ZREM', dir .. ':l', inc)
  call('HSET', dir .. ':g', inc, F(now) .. ' ' .. clean)
  call('ZADD', dir .. ':v', call('HINCRBY', dir .. ':h', 'dv', 1), inc)
end
local function expire()
  for _, inc in ipairs(call('ZRANGEBYSCORE', dir .. ':l', '-inf', now)) do gone(inc, '0') end
end
-- Leases and ends are put off by the time that nobody was here, or that the clock was set by.
local function note_presence()
  local last = call('HGET', dir .. ':h', 'seen')
  local gap = last and now - tonumber(last) or 0
  if gap < 0 or gap > AWAY_MS then
    for _, inc in ipairs(call('ZRANGE', dir .. ':l', 0, -1)) do call('ZINCRBY', dir .. ':l', F(gap), inc) end
    local g = call('HGETALL', dir .. ':g')
    for i = 1, #g, 2 do
      local at, clean = g[i + 1]:match('^(%d+) (%d)$')
      call('HSET', dir .. ':g', g[i], F(tonumber(at) + gap) .. ' ' .. clean)
    end
  end
  if not last or gap < 0 or gap > SEEN_MS then call('HSET', dir .. ':h', 'seen', F(now)) end
end
