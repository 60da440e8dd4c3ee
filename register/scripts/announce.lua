-- A daemon announces itself, or renews its lease. The script answers the index epoch and the store's clock. Whoever comes where one was
-- may come to a full server too.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV directory_epoch digits: if it is another history
-- ARGV catalog_epoch digits: likewise
-- ARGV index_epoch digits: likewise
-- ARGV inc digits: the run's incarnation
-- ARGV member bytes: packed
-- ARGV signature text: of what is told at once
-- ARGV lease number ms: from now
-- ARGV home bytes: role, id and address
-- ARGV started digits ms: when the run began, Unix time
-- CONST LOAD_TOLD_MS
-- PARTS epochs memory
-- REPLY [nn] index_epoch store_ms

if call('HEXISTS', dir .. ':p', home) == 1 then no_growth() else grow() end
note_presence()
take_epochs()
expire()
local old = call('HGET', dir .. ':p', home)
if old then
  local before, before_started = old:match('^(%d+) (%d+)$')
  if before ~= inc and tonumber(before_started) <= tonumber(started) and call('ZSCORE', dir .. ':l', before) then
    gone(before, '0')
  end
end
call('HSET', dir .. ':p', home, inc .. ' ' .. started)
local coarse, exact, told = string.match(call('HGET', dir .. ':s', inc) or '', '^(%x+) (%x+) (%d+)$')
local is = redis.sha1hex(member)
local since = now - (tonumber(told) or 0)
local changed = coarse ~= signature or not call('ZSCORE', dir .. ':l', inc) or
  (exact ~= is and (since < 0 or since >= LOAD_TOLD_MS))
call('HSET', dir .. ':m', inc, member)
call('ZADD', dir .. ':l', F(now + lease), inc)
call('HDEL', dir .. ':g', inc)
if changed then
  call('HSET', dir .. ':s', inc, signature .. ' ' .. is .. ' ' .. F(now))
  call('ZADD', dir .. ':v', call('HINCRBY', dir .. ':h', 'dv', 1), inc)
end
return {call('HGET', dir .. ':h', 'ie'), F(now)}
