-- Heads of logs of one bucket, which are made when they are not there. The script answers epoch, head and change of each.
--
-- KEYS base: the front of the bucket's keys
-- REST name text, epoch number: of each log, and the epoch if it is made now
-- PARTS heads_next log
-- REPLY [*n]

for i = at, #ARGV, 2 do are_there = are_there and is_there(ARGV[i]) end
if are_there then no_growth() else grow() end
for i = at, #ARGV, 2 do
  local l = open(ARGV[i], tonumber(ARGV[i + 1]))
  out[#out + 1] = l.epoch
  out[#out + 1] = l.head
  out[#out + 1] = l.change
end
finish()
return out
