-- Collapse keys: a message takes the place of the one with its key that no device has handled. The last few keys of a log are kept with the
-- seq of their message.
--
-- CONST GAP_COLLAPSED = HAWSER__V1__GAP_REASON__GAP_COLLAPSED
-- CONST COLLAPSE_KEYS_MAX
-- CONST COLLAPSE_SKEW_MS
-- PARTS ended

local function collapse_keys_of(l)
  l.collapse_keys = l.collapse_keys or l.collapsing > 0 and call('HGET', logs, l.name .. '\0c') or ''
  return l.collapse_keys
end
-- seq and key of each that can still be replaced, by seq.
local function collapsible_of(l)
  local out, at = {}, 1
  while at <= #collapse_keys_of(l) do
    local seq, key
    seq, key, at = unpacked('<I7Bc0', l.collapse_keys, at)
    if has_between(l, seq, seq) and is_waiting(l, seq) then out[#out + 1] = {seq, key} end
  end
  return out
end
-- Whether a message for these devices is for each that an entry is for: else some device would get none of both.
local function is_for_all_of(names, l, seq)
  local others = names_of(l, seq)
  if not others then return names == '' end
  for other in string.gmatch(others, '[^%z]+') do
    if not is_for(names, other) then return false end
  end
  return true
end
-- The seq that it would take the place of. One that was sent later stays: what was left behind in MariaDB may come after it.
local function replaced_by(l, a)
  if a.collapse_key == '' then return nil end
  for _, c in ipairs(collapsible_of(l)) do
    if c[2] == a.collapse_key then
      return entry(l, c[1]).sent <= a.sent + COLLAPSE_SKEW_MS and is_for_all_of(a.names, l, c[1]) and c[1]
    end
  end
end
local function collapse(l, seq)
  if drop(l, seq, GAP_COLLAPSED, 'collapsed') then tell_end(seq, GAP_COLLAPSED) end
  l.change = (l.change + 1) % 4294967296
end
-- The last entry is from now on the one that its key may replace. Of too many keys the one whose message is the oldest goes.
local function keep_collapsible(l, a)
  if a.collapse_key == '' then return end
  local stay, out = {}, {}
  for _, c in ipairs(collapsible_of(l)) do
    if c[2] ~= a.collapse_key then stay[#stay + 1] = c end
  end
  stay[#stay + 1] = {l.head, a.collapse_key}
  if #stay > COLLAPSE_KEYS_MAX then table.remove(stay, 1) end
  for i, c in ipairs(stay) do out[i] = pack('<I7B', c[1], #c[2]) .. c[2] end
  l.collapse_keys, l.collapsing = table.concat(out), 1
  call('HSET', logs, l.name .. '\0c', l.collapse_keys)
end
