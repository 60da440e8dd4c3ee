-- What is known of a user: how much waits, the inbox's head, how many dead letters there are, up to which seq messages for all devices have met an end,
-- the seqs of the dead letters, and each device with its generation, when it was seen, the message that it did not acknowledge, how often,
-- whether its client was told of a gap instead, and its positions.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: the user
-- CONST STREAMS
-- PARTS attempts dead_letters
-- REPLY [nnnnn[*n]*snnnnnnnnnnn] pending epoch head parked handled letters devices

no_growth()
local l = open(name)
if not l then return {0, 0, 0, 0, 0, {}} end
local letters = {}
for i, d in ipairs(dead_letters_of(l)) do letters[i] = d[1] end
local out = {l.waiting, l.epoch, l.head, #letters, l.handled, letters}
for _, d in ipairs(devices_of(l)) do
  local n, a = #out, attempt_of(l, d.name)
  out[n + 1], out[n + 2], out[n + 3] = d.name, d.generation, d.seen
  out[n + 4], out[n + 5], out[n + 6] = a and a.seq or 0, a and a.count or 0, a and a.parked == 2 and 1 or 0
  for i = 1, STREAMS do out[n + 5 + 2 * i], out[n + 6 + 2 * i] = d.at[i][1], d.at[i][2] end
end
finish()
return out
