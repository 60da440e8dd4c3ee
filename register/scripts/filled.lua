-- Whether this store has had all that another one has of the catalog since its history began; or says so. Then no product gets a number up
-- to that one, either.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV directory_epoch digits: if it is another history
-- ARGV catalog_epoch digits: likewise
-- ARGV index_epoch digits: likewise
-- ARGV is flag: it has
-- ARGV number number: the highest that a product was given
-- PARTS epochs memory
-- REPLY i

no_growth()
take_epochs()
local ce = call('HGET', dir .. ':h', 'ce')
if is then
  local n = tonumber(call('HGET', dir .. ':h', 'n') or 0)
  call('HSET', dir .. ':h', 'cf', ce, 'n', F(math.max(n, number)))
end
return call('HGET', dir .. ':h', 'cf') == ce and 1 or 0
