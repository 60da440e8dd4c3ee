-- Sums of a room or a center, counted once by their id. The script answers whether they were.
--
-- KEYS base: the front of the bucket's keys
-- ARGV id bytes: of these sums, 16 bytes
-- ARGV rejected digits: targets of jobs that were refused
-- REST stream text, sent number, acked number: devices, of each stream
-- CONST SUM_IDS_MAX
-- PARTS now base memory
-- REPLY i

if call('ZSCORE', base .. 'sid', id) then return 0 end
grow()
call('ZADD', base .. 'sid', now, id)
if call('ZCARD', base .. 'sid') > SUM_IDS_MAX then call('ZREMRANGEBYRANK', base .. 'sid', 0, 0) end
local function count(name, by) call('HINCRBY', base .. 'sum', name, by) end
if rejected ~= '0' then count('rejected', rejected) end
for i = rest, #ARGV, 3 do
  count('sent' .. ARGV[i], ARGV[i + 1])
  count('acked' .. ARGV[i], ARGV[i + 2])
end
return 1
