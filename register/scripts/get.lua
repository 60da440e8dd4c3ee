-- An entry of the catalog; empty when there is none.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV key text: of the entry
-- REPLY s

return redis.call('HGET', dir .. ':c', key) or ''
