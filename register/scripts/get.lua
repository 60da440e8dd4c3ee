-- An entry of the catalog, empty when there is none; and whether registers have had the time to write back what this store lost.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV key text: of the entry
-- CONST GONE_FOR_GOOD_MS
-- PARTS now
-- REPLY [si] entry settled

local since = tonumber(call('HGET', dir .. ':h', 'since') or now)
return {call('HGET', dir .. ':c', key) or '', since + GONE_FOR_GOOD_MS <= now and 1 or 0}
