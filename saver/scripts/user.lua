-- What is known of a user: how much waits, the inbox's head, how many dead letters there are, and each device with its generation, when it was seen, and its positions.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: the user
-- CONST STREAMS
-- PARTS dead_letters
-- REPLY [nnnn*snnnnnnnn] pending epoch head parked devices

no_growth()
local l = open(name)
if not l then return {0, 0, 0, 0} end
local out = {l.waiting, l.epoch, l.head, #dead_letters_of(l)}
for _, d in ipairs(devices_of(l)) do
  local n = #out
  out[n + 1], out[n + 2], out[n + 3] = d.name, d.generation, d.seen
  for i = 1, STREAMS do out[n + 2 + 2 * i], out[n + 3 + 2 * i] = d.at[i][1], d.at[i][2] end
end
finish()
return out
