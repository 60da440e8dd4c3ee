-- Writes an entry of the catalog, if it still has the version that is expected. The script answers whether there is a conflict, and the
-- entry as it is now.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV key text: of the entry
-- ARGV value bytes: of the entry
-- ARGV expect digits: its version; 0 = it is not there, or deleted
-- ARGV deletes digits: 1 = it is deleted, else 0
-- PARTS directory memory
-- REPLY [is] conflict entry

local v = call('HGET', dir .. ':c', key)
local version, deleted = string.match(v or '', '^(%d+) (%d) ')
version, deleted = version or '0', deleted or '1' -- what is no record is no entry
if (deleted == '1' and '0' or version) ~= expect then return {1, v or ''} end
if deletes == '1' and v then no_growth() else grow() end
local n = call('HINCRBY', dir .. ':h', 'cv', 1)
v = F(math.max(n, tonumber(version) + 1)) .. ' ' .. deletes .. ' ' .. value -- one from another store may be above n
call('HSET', dir .. ':c', key, v)
call('ZADD', dir .. ':w', n, key)
return {0, v}
