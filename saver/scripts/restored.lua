-- Whether what this Redis has lost was put back since it began this history (docs/STORE.md): the key says so, or which walk is at it. It is
-- gone with the rest when all keys are deleted.
--
-- KEYS key: hw:restored
-- ARGV does number: RESTORED_ASKS, _BEGINS or _ENDS
-- ARGV walk digits: a number of its own
-- CONST RESTORED_BEGINS
-- CONST RESTORED_ENDS
-- REPLY i

local said, whole = redis.call('GET', key), '1' .. history
local is_begun, is_ended = does == RESTORED_BEGINS and said ~= whole, does == RESTORED_ENDS and said == '0' .. walk
if is_begun or is_ended then
  said = is_ended and whole or '0' .. walk
  redis.call('DEL', key) -- first: so a full server takes it
  redis.call('SET', key, said)
end
return said == whole and 1 or 0
