-- A number that no product had, above the seconds since PRODUCT_EPOCH_S.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- CONST PRODUCT_EPOCH_S
-- PARTS directory memory
-- REPLY i

local n = tonumber(call('HGET', dir .. ':h', 'n') or 0) + 1
n = math.max(n, math.floor(now / 1000) - PRODUCT_EPOCH_S)
grow()
call('HSET', dir .. ':h', 'n', F(n))
return n
