-- Dead letters of a user, behind a seq. The script answers the inbox's epoch, whether there are more, and each with its seq, message, when it
-- was sent and its end (0: as the message says), when it was parked, and for which device.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: the user
-- ARGV after number: a seq
-- ARGV letters_max number: at most
-- ARGV bytes_max number: but at least one
-- PARTS dead_letters
-- REPLY [nn[*[nsnnns]]] epoch more letters

no_growth()
local l = open(name)
if not l then return {0, 0, {}} end
local seqs, out, bytes, more = {}, {}, 0, 0
for i, d in ipairs(dead_letters_of(l)) do seqs[i] = d[1] end
table.sort(seqs)
for _, seq in ipairs(seqs) do
  local packed = seq > after and call('HGET', logs, field(l, 'd', seq))
  if packed and #out > 0 and (#out >= letters_max or bytes + #packed > bytes_max) then
    more = 1
    break
  elseif packed then
    local parked, sent, ends, told, device, at = unpacked(DEAD, packed)
    bytes = bytes + #packed
    out[#out + 1] = {seq, string.sub(packed, at), told % 2 == 1 and sent or 0, told % 4 >= 2 and ends or 0, parked, device}
  end
end
finish()
return {l.epoch, more, out}
