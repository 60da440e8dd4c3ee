-- A sweep finds nothing due, most times.
--
-- PARTS layout
if #call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1) == 0 then return 0 end
