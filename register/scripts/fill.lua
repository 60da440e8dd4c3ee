-- Takes an entry of the catalog that another store has, under its version, where the one here is older. The script answers whether it was
-- taken, and the entry as it is now.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV key text: of the entry
-- ARGV value bytes: of the entry
-- ARGV version digits: its version
-- ARGV deleted digits: 1 = it is deleted, else 0
-- PARTS directory memory
-- REPLY [is] taken entry

local v = call('HGET', dir .. ':c', key)
local has = tonumber(string.match(v or '', '^(%d+) %d ') or 0) -- what is no record is no entry
if has >= tonumber(version) then return {0, v} end
if deleted == '1' and v then no_growth() else grow() end
v = version .. ' ' .. deleted .. ' ' .. value
call('HSET', dir .. ':c', key, v)
call('ZADD', dir .. ':w', call('HINCRBY', dir .. ':h', 'cv', 1), key)
return {1, v}
