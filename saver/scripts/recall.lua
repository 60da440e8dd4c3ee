-- Recall: the message of that id leaves a log, with its dead letter, and loads as a gap. Until it would have ended its id is known as
-- recalled, so that whoever repeats the recall learns of it. So many entries are looked at; MORE says behind which to go on.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: of the log: the user's, or the stream's number
-- ARGV id text: of the message
-- ARGV after number: a seq
-- CONST RECALL_ENTRIES_MAX
-- CONST RECALL_BYTES_MAX
-- CONST UNKNOWN = HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_UNKNOWN
-- CONST DONE = HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_DONE
-- CONST MORE = HAWSER__INTERNAL__RECALL_OUTCOME__RECALL_MORE
-- PARTS recalled
-- REPLY [nnnnnnnn] outcome epoch head change seq after sent_ms expires_ms

no_growth() -- more goes than comes
local l = open(name)
if not l then return {UNKNOWN, 0, 0, 0, 0, 0, 0, 0} end
-- As a packed message begins.
local front = string.char(10, #id) .. id
local found, at, entries, bytes, is_over
local function look(seq)
  local value = call('HGET', logs, field(l, 'm', seq)) or ''
  at, entries, bytes = seq, entries + 1, bytes + #value
  if value ~= '' then
    local _, ends, sent, _, _, behind = unpacked(ENTRY, value)
    if string.sub(value, behind, behind + #front - 1) == front and ends > now then found = {seq, sent, ends} end
  end
  is_over = found or entries >= RECALL_ENTRIES_MAX or bytes >= RECALL_BYTES_MAX
  return is_over
end
local known = call('HGET', logs, recalled_key(name, id))
if known then known = {unpacked(RECALLED, known)} end
entries, bytes = 0, 0
each(l, math.max(after, known and known[1] or 0) + 1, l.head, look) -- also behind that one: its id may be another message's by now
if found then
  drop_recalled(l, found[1])
  keep_recalled(name, id, found[1], found[2], found[3])
elseif not is_over then
  found = known
end
finish()
if found then return {DONE, l.epoch, l.head, l.change, found[1], 0, found[2], found[3]} end
return {is_over and MORE or UNKNOWN, l.epoch, l.head, l.change, 0, is_over and at or 0, 0, 0}
