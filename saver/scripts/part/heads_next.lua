-- Heads of logs that are there, and were written in this history of the data. The first that is not, and all behind it, are left to heads.lua.
--
-- PARTS layout
local at, out, are_there, states = rest, {}, true, nil
if #ARGV == rest + 1 then
  states = {call('HGET', logs, ARGV[rest])}
else
  local names = {}
  for i = rest, #ARGV, 2 do names[#names + 1] = ARGV[i] end
  states = call('HMGET', logs, unpack(names))
end
for i = 1, #states do
  if not states[i] then break end
  local _, epoch, head, change, ran = unpacked(NEW, states[i])
  if ran ~= history then break end
  out[3 * i - 2], out[3 * i - 1], out[3 * i], at = epoch, head, change, at + 2
end
if at > #ARGV then return out end
