-- A run says good-bye.
--
-- KEYS dir: the front of all keys of the directory and the catalog
-- ARGV inc digits: the run's incarnation
-- PARTS directory memory
-- REPLY i

no_growth()
if call('ZSCORE', dir .. ':l', inc) then gone(inc, '1') end
return 1
