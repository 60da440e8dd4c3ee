-- What is known of a user: how much waits, the inbox's head, and each device with its record.
--
-- KEYS base: the front of the bucket's keys
-- ARGV run bytes: the server's run id, 16 characters of it
-- ARGV name text: the user
-- PARTS log
-- REPLY [nnn*ss] pending epoch head devices

no_growth()
local l = open(name)
if not l then return {0, 0, 0} end
local out = {call('ZCARD', l.n), F(l.epoch), F(l.head)}
for _, device in ipairs(call('HKEYS', l.v)) do
  out[#out + 1] = device
  out[#out + 1] = call('HGET', l.v, device)
end
finish()
return out
